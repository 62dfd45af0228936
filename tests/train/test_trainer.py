"""How rows become batches: padding where a tokenizer has no token for it."""

import copy

import numpy as np
import pytest
import torch

from dataselect.models.load import load_tokenizer
from dataselect.train.trainer import _collator
from tests.helpers import MODEL


@pytest.mark.parametrize("has_eos", [True, False])
def test_a_tokenizer_without_a_padding_token(has_eos):
    tokenizer = copy.deepcopy(load_tokenizer(MODEL))
    tokenizer.pad_token = None
    if not has_eos:
        tokenizer.eos_token = None
    rows = [{"input_ids": list(range(5, 5 + n)), "labels": [-100] * n} for n in (3, 6)]
    batch = _collator(tokenizer)(rows)
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0], [1] * 6]
    assert torch.equal(batch["input_ids"][0, :3], torch.arange(5, 8))
    assert np.all(batch["labels"].numpy() == -100)
