"""What benchmarks of models share: real rows of ../shared, and Llama shapes with random weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import torch
from measuring import best_of

from dataselect.models.load import device, load_tokenizer
from dataselect.models.precision import torch_dtype
from dataselect.models.settings import ModelSettings

SHARED = Path(__file__).parents[2] / "shared"
MODEL = ModelSettings(name=str(SHARED / "models/base"))
SHAPES = {
    size: dict(zip(("hidden_size", "intermediate_size", "num_hidden_layers",
                    "num_attention_heads", "num_key_value_heads"), numbers, strict=True))
    for size, numbers in {"100M": (768, 2_048, 12, 12, 12), "1B": (2_048, 5_632, 22, 32, 4),
                          "7B": (4_096, 11_008, 32, 32, 32)}.items()
}  # fmt: skip


def rows(count: int) -> list[list[dict[str, str]]]:
    """A seeded sample of the real pool."""
    pool = pl.read_parquet(SHARED / "data/pool.parquet", columns=["messages"])
    return pool.sample(count, seed=0)["messages"].to_list()


def make_model(folder: str, shape: dict[str, int], dtype: str = "auto") -> None:
    """A model of this shape with random weights, and a tokenizer."""
    from transformers import AutoModelForCausalLM

    with torch.device(device()):  # a GPU draws 7 B weights in seconds
        net = AutoModelForCausalLM.from_config(_config(shape), dtype=torch_dtype(dtype))
    net.save_pretrained(folder)
    load_tokenizer(MODEL).save_pretrained(folder)


def build_encoder(shape: dict[str, int], dtype: torch.dtype) -> Any:
    """A model of this shape with random weights, without its head, made on the device."""
    from transformers import AutoModel

    if device() == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # as `models.load` does
    with torch.device(device()):
        return AutoModel.from_config(_config(shape), dtype=dtype).eval()


def _config(shape: dict[str, int]) -> Any:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(MODEL.name)
    for name, value in shape.items():
        setattr(config, name, value)
    config.head_dim = config.hidden_size // config.num_attention_heads
    return config


def product_flops(dtype: torch.dtype, clock: Callable[[], float] = time.perf_counter) -> float:
    """FLOP/s of a plain matrix product in this precision, on the GPU where there is one."""
    on_gpu = torch.cuda.is_available()
    width = 8_192 if on_gpu else 1_024
    a = torch.randn(width, width, device=device()).to(dtype)

    def once() -> None:
        a @ a
        if on_gpu:
            torch.cuda.synchronize()

    return 2 * width**3 / best_of(20, once, clock)
