"""Rotary positions that depend on the longest row of a batch: rows have what they have alone."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from dataselect.models.batches import Batches, batches
from dataselect.models.chat import Encoded
from dataselect.models.load import load_causal
from dataselect.models.nll import token_losses
from dataselect.models.packed import packed
from dataselect.models.rotary import length_key
from dataselect.models.settings import ModelSettings
from tests.packed_rows import pack_on_cpu
from tests.train.test_packing import make

LONG = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 16}
LONG |= {"short_factor": [1.0] * 4, "long_factor": [1.0, 4.0, 8.0, 16.0], "factor": 4.0}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
PHI = {"original_max_position_embeddings": 16, "max_position_embeddings": 64}
PHI |= {"bos_token_id": 1, "eos_token_id": 2, "rope_parameters": LONG}
KINDS = {
    "longrope": ("Phi3", PHI),
    "dynamic": ("Llama", {"rope_parameters": DYNAMIC, "max_position_embeddings": 16}),
}
LENGTHS = [15, 40, 16, 25, 17, 3, 40]
ROWS = [
    Encoded((np.arange(t) * 7 % 50 + 5).astype(np.int32), np.ones(t, dtype=bool)) for t in LENGTHS
]


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def net(request, tmp_path):
    """A model as it is loaded from a folder."""
    kind, changes = request.param
    make(kind, AutoModelForCausalLM, **changes).save_pretrained(tmp_path)
    return load_causal(ModelSettings(name=str(tmp_path), dtype="float32"))


@pytest.mark.parametrize("packs", [False, True])
def test_a_row_has_the_losses_that_it_has_alone(net, packs, monkeypatch):
    alone = [float(token_losses(net, [row]).response[0]) for row in ROWS]
    mixed, padded = torch.zeros(2, 40, dtype=torch.int64), torch.from_numpy(ROWS[0].ids).long()
    mixed[0, :15] = padded
    with torch.inference_mode():
        gap = net(input_ids=mixed).logits[0, :15] - net(input_ids=padded[None]).logits[0]
    assert gap.abs().max() > 0.01  # beside a longer row it has others
    if packs:
        pack_on_cpu(monkeypatch)
        net = packed(net)
    together = token_losses(net, ROWS, batches=Batches(10_000, packed=packs)).response
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_only_rows_of_one_key_are_in_a_batch(net):
    groups = batches(LENGTHS, 10_000, key=length_key(net))
    found = [[LENGTHS[row] for row in group] for group in groups]
    if net.config.model_type == "phi3":
        assert found == [[40, 40, 25, 17], [16, 15, 3]]
    else:
        assert found == [[40, 40], [25], [17], [16, 15, 3]]


def test_other_models_have_one_key():
    key = length_key(make("Llama"))
    assert batches(LENGTHS, 10_000, key=key) == batches(LENGTHS, 10_000)
