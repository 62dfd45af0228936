"""How rows become batches: padding where a tokenizer has no token for it."""

import copy

import numpy as np
import pytest
import torch

from dataselect.models.load import load_tokenizer
from dataselect.train.trainer import _collator, _in_training
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


def test_a_model_that_is_in_training_is_not_walked_through_again():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout()).eval()
    with _in_training(model):
        assert all(module.training for module in model.modules())
        model[1].eval()
        assert model.train() is model
        assert not model[1].training
    model.train()
    assert model[1].training
    assert not model.eval().training
