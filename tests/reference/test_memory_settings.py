"""What saves memory in training saves it in every reference too."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dataselect.reference.experienced import experienced
from dataselect.reference.proxy import proxy
from dataselect.reference.warmup import warmup
from tests.helpers import MODEL, mistake
from tests.reference import write_pool

SHORT = replace(MODEL, max_tokens=64)
FEW = {"batch_size": 4, "learning_rate": 1e-3, "epochs": 1, "seed": 0}
SMALL = {
    proxy: {"checkpoints": 1},
    warmup: {"share": 1.0, "lora_rank": 4, "lora_dropout": 0.0},
    experienced: {"clusters": 4, "per_cluster": 2},
}


@pytest.fixture
def fit(in_scratch):
    """Fits a reference on a few rows; the weights of its last checkpoint."""
    table = in_scratch / "pool.parquet"
    write_pool(table, 12)

    def weights(reference, name, **changes):
        settings = FEW | SMALL[reference] | changes
        done = reference(**settings).fit(SHORT, table, in_scratch / name)
        folder = done.checkpoints[-1].folder
        (path,) = folder.glob("*model.safetensors")
        return load_file(path)

    return weights


@pytest.mark.slow
@pytest.mark.parametrize("reference", SMALL, ids=lambda reference: reference.__name__)
def test_checkpointing_and_bf16_weights(fit, reference):
    plain = fit(reference, "plain")
    saving = fit(reference, "saving", gradient_checkpointing=True)
    for name, weight in plain.items():
        np.testing.assert_allclose(weight, saving[name], rtol=1e-4, atol=1e-5, err_msg=name)
    small = fit(reference, "small", weights="bfloat16", gradient_checkpointing=True)
    expected = torch.float32 if reference is warmup else torch.bfloat16
    assert {weight.dtype for weight in small.values()} == {expected}


@pytest.mark.torture
@pytest.mark.parametrize("reference", [proxy, warmup], ids=["proxy", "warmup"])
def test_shards_leave_what_one_process_does(fit, reference):
    plain = fit(reference, "plain", processes=1)
    sharded = fit(reference, "sharded", processes=2, sharding="full")
    assert plain.keys() == sharded.keys()
    for name, weight in plain.items():
        np.testing.assert_allclose(weight, sharded[name], rtol=1e-3, atol=2e-5, err_msg=name)


@pytest.mark.slow
def test_adapters_on_4_bits(fit):
    pytest.importorskip("bitsandbytes")
    adapters = fit(warmup, "nf4", weights="nf4")
    assert any(weight.any() for name, weight in adapters.items() if "lora_B" in name)


def test_types_that_do_not_go_together():
    for reference in (proxy, experienced):
        message = mistake(reference, seed=0, optimizer="adamw_float32")
        assert f"methods.yaml: {reference.__name__}.optimizer: adamw_float32: has" in message


def test_a_reference_that_cannot_fit_is_refused(fit, monkeypatch):
    monkeypatch.setattr("dataselect.compute.memory.device_memory", lambda: 1e6)
    message = mistake(fit, proxy, "none")
    assert message.startswith("the reference in methods.yaml: expected a run that fits into 1.0 MB")
