"""Which type `auto` is on a device."""

from __future__ import annotations

import pytest
import torch

from dataselect.models.precision import dtype_name, torch_dtype


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ((), torch.float32),
        (("_is_avx512_bf16_supported",), torch.bfloat16),
        (("_is_amx_tile_supported",), torch.bfloat16),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_instructions_for_it(
    monkeypatch, instructions, expected
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda has=name in instructions: has)
    assert torch_dtype("auto") == expected
    assert dtype_name("auto") == str(expected).removeprefix("torch.")


def test_a_named_type_is_itself_on_every_machine():
    assert torch_dtype("float16") == torch.float16
    assert dtype_name("float32") == "float32"
