"""How rows become batches: padding where a tokenizer has no token for it."""

import copy

import numpy as np
import pytest
import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from dataselect.models.chat import Encoded
from dataselect.models.load import load_tokenizer
from dataselect.train.fit import Recipe
from dataselect.train.nets import load_trainable
from dataselect.train.trainer import _collator, _staying_in_training, make_trainer
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
    with _staying_in_training(model):
        assert model.train() is model
        assert not model[1].training
    model.train()
    assert model[1].training
    assert not model.eval().training


@pytest.mark.parametrize("method", ["full", "lora"])
def test_all_of_a_model_is_in_training_and_blocks_are_computed_again_where_so_set(tmp_path, method):
    """An adapter's wrapper is in training from the start, the model in it is not."""
    lora = {"lora_rank": 2} if method == "lora" else {}
    recipe = Recipe(epochs=1, batch_size=2, method=method, gradient_checkpointing=True, **lora)
    net = load_trainable(MODEL, recipe)
    ran = []
    for module in net.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.input_layernorm.register_forward_pre_hook(lambda *_: ran.append(1))
    row = Encoded(np.arange(5, 15, dtype=np.int32), np.ones(10, dtype=bool))
    make_trainer(net, load_tokenizer(MODEL), [row, row], tmp_path, recipe, []).train()
    assert all(module.training for module in net.modules())
    assert len(ran) == 2 * 2 * net.config.num_hidden_layers  # rows, one at a time; twice each
