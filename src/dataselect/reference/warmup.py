"""LESS's warm-up: LoRA adapters, and Adam's moments, after every epoch on a part of the pool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Gt, Le

from dataselect.compute.distributed import Processes
from dataselect.data.checkpoints import Fitted
from dataselect.data.tables import row_count
from dataselect.settings import Fraction, PositiveInt
from dataselect.train.examples import sample_rows
from dataselect.train.fit import recipe
from dataselect.train.snapshots import fit_with_snapshots

FITS = "adapters"
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj")


def checkpoints(*, epochs: int, **settings: object) -> int:
    """How many checkpoints there will be."""
    return epochs


def work(*, rows: int, epochs: int, share: float, **settings: object) -> float:
    """How much there is to do on a pool of so many rows, in rows passed through the model."""
    return float(epochs * max(1, int(share * rows)))


def warmup(
    model: dict[str, Any],
    pool: Path,
    home: Path,
    *,
    seed: int,
    share: Annotated[float, Gt(0), Le(1)] = 0.05,
    epochs: PositiveInt = 4,
    learning_rate: Annotated[float, Gt(0)] = 2e-5,
    batch_size: PositiveInt = 128,
    micro_batch_size: PositiveInt = 1,
    processes: Processes = "auto",
    warmup: Fraction = 0.03,
    lora_rank: PositiveInt = 128,
    lora_alpha: PositiveInt = 512,
    lora_dropout: Fraction = 0.1,
    lora_modules: list[str] | tuple[str, ...] | Literal["all-linear"] = MODULES,
) -> Fitted:
    """Trains adapters on a random share of the pool; a checkpoint an epoch.

    A checkpoint is a folder with `adapter_model.safetensors`, `adapter_config.json` and
    `adam.safetensors`, whose `exp_avg.NAME` and `exp_avg_sq.NAME` are the moments of the
    parameter of that name (float32).

    Args:
        share: of the pool's rows, at least one; drawn by id and seed.
        micro_batch_size: as many rows at a time as train takes, or the most that divide a batch.
        processes: as many as train takes: see `ranks`.

    Source: arXiv 2402.04333 (the defaults here); its code matches moments to parameters by their
    order, here it is by name.
    """
    settings = locals()
    adapters = {
        "method": "lora",
        **{name: settings[name] for name in ("lora_rank", "lora_alpha", "lora_dropout")},
        "lora_modules": lora_modules if isinstance(lora_modules, str) else list(lora_modules),
        "gradient_checkpointing": False,
    }
    rows = sample_rows(pool, seed, max(1, int(share * row_count(pool))))
    return fit_with_snapshots(model, pool, rows, home, recipe(settings), epochs, save, adapters)


def save(net: Any, tokenizer: Any, optimizer: Any, folder: Path) -> None:
    """Writes an adapter and its Adam moments, by parameter name."""
    from safetensors.torch import save_file

    net.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    config = folder / "adapter_config.json"
    # A path of this machine would make the same adapter another file elsewhere.
    plain = {**json.loads(config.read_text()), "base_model_name_or_path": None}
    config.write_text(json.dumps(plain, indent=2, sort_keys=True))
    state = getattr(optimizer, "optimizer", optimizer).state
    moments = {
        f"{moment}.{name}": state[parameter][moment].float().contiguous()
        for name, parameter in net.named_parameters()
        if parameter.requires_grad
        for moment in ("exp_avg", "exp_avg_sq")
    }
    save_file(moments, folder / "adam.safetensors")
