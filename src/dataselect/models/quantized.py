"""bitsandbytes: weights in 4 bits, optimiser states in 8. An extra."""

from __future__ import annotations

from typing import Any

from dataselect.errors import InputError, install_extra


def load_bitsandbytes(setting: str) -> Any:
    """The library bitsandbytes.

    Args:
        setting: what needs it, as `name: value`, for the message.

    Raises:
        InputError: it is not installed, or does not work on this machine.
    """
    from importlib import import_module

    try:
        return import_module("bitsandbytes")
    except ModuleNotFoundError:
        raise InputError(
            f"`{setting}`: `bitsandbytes` is not installed. Install it: "
            f"{install_extra('bitsandbytes')}; or set another."
        ) from None
    except Exception as error:  # of any type: a library of the GPU that does not fit
        reason = " ".join(str(error).split())
        raise InputError(
            f"`{setting}`: bitsandbytes does not work here: {reason:.200}. Install a version for "
            "this machine's GPU and torch; or set another."
        ) from None


def nf4_settings() -> Any:
    """How a model is loaded for QLoRA: linear layers in NF4, their constants quantised again.

    Raises:
        InputError: bitsandbytes is not installed.

    Source: arXiv 2305.14314.
    """
    load_bitsandbytes("weights: nf4")
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
