"""AdamW in float32 over weights in bfloat16: torch's own step, rounded; moments that resume."""

from copy import deepcopy

import pytest
import torch

from dataselect.train.fit import Recipe
from dataselect.train.optimizers import MOMENTS, float32_adamw, optimizer_class

SETTINGS = {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}


def gradients(count):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(6, 4, generator=generator).bfloat16() for _ in range(count)]


def start():
    return torch.nn.Parameter(torch.linspace(-1, 1, 24).reshape(6, 4).bfloat16())


def test_a_step_is_torchs_on_a_float32_copy_and_then_rounded():
    weight = start()
    optimizer = float32_adamw()([weight], **SETTINGS)
    copy = torch.nn.Parameter(weight.detach().float())
    torchs = torch.optim.AdamW([copy], **SETTINGS, foreach=False)
    for gradient in gradients(3):
        weight.grad, copy.grad = gradient, gradient.float()
        optimizer.step()
        torchs.step()
        assert torch.equal(weight, copy.bfloat16())
        copy.data = weight.detach().float()  # what the next step begins from
    for name in MOMENTS:
        found = optimizer.state[weight][name]
        assert found.dtype == torch.float32
        assert torch.equal(found, torchs.state[copy][name])


def test_moments_resume_as_they_were():
    steps = gradients(4)
    weight, resumed = start(), start()
    optimizer = float32_adamw()([weight], **SETTINGS)
    for gradient in steps[:2]:
        weight.grad = gradient
        optimizer.step()
    resumed.data.copy_(weight)
    second = float32_adamw()([resumed], **SETTINGS)
    second.load_state_dict(deepcopy(optimizer.state_dict()))
    assert second.state[resumed]["exp_avg"].dtype == torch.float32
    for gradient in steps[2:]:
        weight.grad = resumed.grad = gradient
        optimizer.step()
        second.step()
    assert torch.equal(weight, resumed)


def test_a_parameter_without_a_gradient_stays():
    weight = start()
    before = weight.detach().clone()
    float32_adamw()([weight], **SETTINGS).step()
    assert torch.equal(weight, before)


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_8bit"])
def test_the_others_are_transformers_own(optimizer):
    assert optimizer_class(Recipe(optimizer=optimizer)) is None
    kind, settings = optimizer_class(Recipe(optimizer="adamw_float32", learning_rate=0.5))
    assert issubclass(kind, torch.optim.AdamW)
    assert settings["lr"] == 0.5
