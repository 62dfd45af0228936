"""LoRA's adapters: kept beside the merged weights, the same bytes each time, for peft to load."""

import json
from dataclasses import replace

import pytest
import torch

from dataselect.models.load import load_causal
from dataselect.train.adapters import add_adapters, trainable_parameters
from dataselect.train.fit import Recipe
from dataselect.train.run import TrainSection, train
from tests.helpers import GOLDEN, MODEL
from tests.train import forget_finished

pytestmark = pytest.mark.slow

RECIPE = Recipe(epochs=1, learning_rate=1e-2, batch_size=4, method="lora", lora_rank=4)
ROWS = [
    [{"role": "user", "content": "Say it."}, {"role": "assistant", "content": f"word{i} again"}]
    for i in range(8)
]


@pytest.fixture
def trained(in_scratch, monkeypatch):
    """Trains on a few rows, with the model named as a path of the working directory."""
    (in_scratch / "base").symlink_to(GOLDEN / "tiny-llama")
    path = in_scratch / "train.jsonl"
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in ROWS))

    def run(name, **changes):
        section = TrainSection(replace(MODEL, name="base"), replace(RECIPE, **changes), "")
        forget_finished()
        done = train(section, path, in_scratch / name, in_scratch / f"{name}-curve")
        return done, in_scratch / name

    return run


def test_the_adapters_are_kept_beside_the_merged_weights(trained):
    from peft import PeftModel

    done, out = trained("first")
    again, other = trained("second")
    names = {"adapter_model.safetensors", "adapter_config.json"}
    assert {path.name for path in (out / "adapter").iterdir()} == names
    for name in names:
        assert (out / "adapter" / name).read_bytes() == (other / "adapter" / name).read_bytes()
    assert again == done
    config = json.loads((out / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "base"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert str(out.parent) not in str(config)
    assert str(GOLDEN) not in str(config)
    base = load_causal(MODEL, "float32")
    ids = torch.arange(5, 45)[None]
    with torch.no_grad():
        before = base(ids).logits
        adapted = PeftModel.from_pretrained(base, str(out / "adapter")).eval()(ids).logits
        merged = load_causal(replace(MODEL, name=str(out)), "float32")(ids).logits
    torch.testing.assert_close(adapted, merged, rtol=1e-4, atol=1e-4)
    assert (adapted - before).abs().max() > 1e-2


def test_trainable_parameters_are_the_adapters_of_lora_and_all_of_full_training(trained):
    base = load_causal(MODEL, "float32")
    linear = [m for name, m in base.named_modules() if name.endswith("_proj")]
    expected = sum(4 * (m.in_features + m.out_features) for m in linear)
    total = sum(p.numel() for p in base.parameters())
    done, _ = trained("lora")
    assert (done.trainable_parameters, done.parameters) == (expected, total + expected)
    assert trainable_parameters(add_adapters(base, replace(RECIPE, method="full"))) == total
    done, out = trained("full", method="full")
    assert (done.trainable_parameters, done.parameters) == (total, total)
    assert not (out / "adapter").exists()
