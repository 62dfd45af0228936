"""Gradients of a batch's rows: each as if it were alone."""

import pytest
import torch

from dataselect.models.batches import Batches
from dataselect.models.chat import load_chat
from dataselect.models.load import load_causal
from dataselect.models.row_gradients import row_gradients
from dataselect.train.adapters import add_adapters
from dataselect.train.fit import Recipe
from tests.helpers import MODEL

ROWS = [
    [{"role": "user", "content": question}, {"role": "assistant", "content": response}]
    for question, response in (("One?", "1"), ("Name two colours.", "Red and blue."), ("x", "y z"))
]


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    recipe = Recipe(method="lora", lora_rank=2, lora_alpha=4, lora_modules=["q_proj", "down_proj"])
    net = add_adapters(load_causal(MODEL, "float32"), recipe).eval()
    for name, parameter in net.named_parameters():  # where B is 0, no gradient reaches A
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return net


def test_a_rows_gradient_is_that_of_a_pass_of_its_own(net):
    encoded = load_chat(MODEL).encode(ROWS)
    parameters = {name: p for name, p in net.named_parameters() if p.requires_grad}
    ours = row_gradients(net, parameters, encoded, Batches(512))
    for row, gradient in zip(encoded, ours, strict=True):
        net.zero_grad()
        ids = torch.from_numpy(row.ids.astype("int64"))[None]
        labels = torch.where(torch.from_numpy(row.response)[None], ids, -100)
        net(input_ids=ids, labels=labels).loss.backward()
        alone = torch.cat([p.grad.flatten() for p in parameters.values()])
        assert alone.norm() > 0
        torch.testing.assert_close(gradient, alone, rtol=1e-3, atol=1e-6)


def test_the_models_own_forward_is_back_afterwards(net):
    ids = torch.tensor([[1, 2, 3]])
    before = net(input_ids=ids).logits
    parameters = {name: p for name, p in net.named_parameters() if p.requires_grad}
    row_gradients(net, parameters, load_chat(MODEL).encode(ROWS), Batches(64))
    assert torch.equal(net(input_ids=ids).logits, before)
    assert not [m for m in net.modules() if "forward" in vars(m)]
