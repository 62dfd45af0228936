"""The types of weights and moments: what goes together, and that training keeps them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from dataselect.models.load import load_causal
from dataselect.models.precision import torch_dtype
from dataselect.train import nets
from dataselect.train.fit import Recipe
from dataselect.train.nets import (
    check_installed,
    check_precision,
    check_types,
    computes_in_bfloat16,
)
from dataselect.train.run import TrainSection, train
from tests.helpers import MODEL, mistake
from tests.train import forget_finished

RECIPE = Recipe(epochs=2, learning_rate=1e-2, batch_size=4, micro_batch_size=2, threads=1)
LORA = {"method": "lora", "lora_rank": 4, "lora_alpha": 8}
WORDS = ("yes", "no", "a longer answer")
ROWS = [
    [{"role": "user", "content": f"Say {i}."}, {"role": "assistant", "content": WORDS[i % 3]}]
    for i in range(8)
]


@pytest.fixture
def trained(in_scratch):
    """Trains on a few rows; returns the folder of the model, and what was done."""
    path = in_scratch / "train.jsonl"
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in ROWS))

    def run(name, **changes):
        section = TrainSection(MODEL, replace(RECIPE, **changes), "")
        forget_finished()
        done = train(section, path, in_scratch / name, in_scratch / f"{name}-curve")
        return in_scratch / name, done

    return run


def dtypes(folder):
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "adamw_float32"])
def test_bf16_weights_are_trained_and_saved_in_bf16(trained, optimizer):
    out, done = trained("bf16", weights="bfloat16", optimizer=optimizer, learning_rate=1e-3)
    assert dtypes(out) == {torch.bfloat16}
    assert done.loss_nats < 8
    ids = torch.arange(5, 45)[None]
    with torch.no_grad():
        before = load_causal(MODEL)(ids).logits
        after = load_causal(replace(MODEL, name=str(out)), "float32")(ids).logits
    assert (after - before).abs().max() > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, LORA | {"lora_dropout": 0.0}], ids=["full", "lora"])
def test_checkpointing_trains_to_the_same_weights(trained, changes):
    plain, _ = trained("plain", **changes)
    saving, _ = trained("saving", gradient_checkpointing=True, **changes)
    weights, others = (load_file(folder / "model.safetensors") for folder in (plain, saving))
    base = load_causal(MODEL, "float32").state_dict()
    assert weights.keys() == others.keys()
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, others[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert not all(torch.equal(weight, base[name]) for name, weight in weights.items())


@pytest.mark.slow
def test_adapters_on_bf16_weights_are_float32(trained):
    out, _ = trained("lora", weights="bfloat16", gradient_checkpointing=True, **LORA)
    adapters = load_file(out / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in adapters.values()} == {torch.float32}
    assert dtypes(out) == {torch.bfloat16}


@pytest.mark.slow
def test_adapters_on_4_bits_are_kept_and_merged_in_bf16(trained):
    pytest.importorskip("bitsandbytes")
    out, done = trained("qlora", weights="nf4", gradient_checkpointing=True, **LORA)
    assert dtypes(out) == {torch.bfloat16}
    adapters = load_file(out / "adapter" / "adapter_model.safetensors")
    assert any(tensor.any() for name, tensor in adapters.items() if "lora_B" in name)
    base = sum(weight.numel() for weight in load_causal(MODEL).parameters())
    assert done.parameters == base + done.trainable_parameters
    _, full = trained("lora", **LORA)
    assert done.flops == full.flops


@pytest.mark.slow
def test_8_bit_moments_learn(trained):
    pytest.importorskip("bitsandbytes")
    _, plain = trained("plain", learning_rate=1e-3)
    _, done = trained("small", optimizer="adamw_8bit", learning_rate=1e-3)
    assert done.loss_nats == pytest.approx(plain.loss_nats, rel=0.05)


@pytest.mark.parametrize(("changes", "words"), [
    ({"weights": "nf4"}, "train.weights: nf4: expected `method: lora`"),
    ({"weights": "bfloat16", "dtype": "float32"}, "train.dtype: float32: has no effect with"),
    ({"optimizer": "adamw_float32"}, "train.optimizer: adamw_float32: has an effect only with"),
    ({"optimizer": "adamw_float32", "weights": "bfloat16"} | LORA, "Remove it."),
], ids=["nf4", "dtype", "float32", "lora"])  # fmt: skip
def test_types_that_do_not_go_together(changes, words):
    assert words in mistake(check_types, replace(RECIPE, **changes), "params.yaml: train")
    check_types(replace(RECIPE, weights="bfloat16", optimizer="adamw_float32"), "train")
    check_types(replace(RECIPE, weights="nf4", **LORA), "train")


@pytest.mark.parametrize("changes", [{"dtype": "bfloat16"}, {"weights": "bfloat16"}])
def test_a_gpu_without_bf16_is_refused(monkeypatch, changes):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    supported = {True: True, False: False}  # emulated, in hardware
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: supported[including_emulation],
    )
    recipe = replace(RECIPE, **changes)
    assert "bfloat16: this GPU (Tesla T4) does not compute in bfloat16. Set" in mistake(
        check_precision, recipe
    )
    check_precision(RECIPE)
    assert not computes_in_bfloat16(RECIPE)
    assert torch_dtype("auto") == torch.float32


def test_a_processor_computes_in_bf16_only_where_it_is_set():
    assert not computes_in_bfloat16(RECIPE)
    for changes in ({"dtype": "bfloat16"}, {"weights": "bfloat16"}, {"weights": "nf4"}):
        assert computes_in_bfloat16(replace(RECIPE, **changes))


@pytest.mark.parametrize(
    "changes", [{"weights": "nf4", "method": "lora"}, {"optimizer": "adamw_8bit"}]
)
def test_what_is_not_installed_is_named_with_its_extra(changes, monkeypatch):
    monkeypatch.setattr(nets.importlib.util, "find_spec", lambda _: None)
    message = mistake(check_installed, Recipe(**changes), "params.yaml: train")
    name, value = next(iter(changes.items()))
    assert message.startswith(
        f"params.yaml: train.{name}: {value}: `bitsandbytes` is not installed"
    )
    assert "pip install 'dataselect[bitsandbytes]'" in message
    other = {"weights": "bfloat16", "optimizer": "adamw"}[name]
    assert message.endswith(f"; or set `{name}: {other}`.")
    check_installed(Recipe(), "params.yaml: train")


def test_an_idle_dtype_is_to_be_removed():
    recipe = Recipe(weights="bfloat16", dtype="float32")
    message = mistake(check_types, recipe, "params.yaml: train")
    assert message.endswith("Remove `train.dtype`.")
