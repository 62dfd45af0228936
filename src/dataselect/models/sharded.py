"""Models of which every process of a run holds a part (FSDP2), as transformers loads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dataselect.compute import distributed
from dataselect.errors import InputError
from dataselect.models.load import on_meta

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from dataselect.models.settings import ModelSettings


def shard_options(model: ModelSettings, processes: int, in_bfloat16: bool) -> dict[str, Any]:
    """What `from_pretrained` is given, in each of several processes, to load its part of a model.

    The weights of a block (a layer of the decoder) are gathered when it computes, and let go.

    Args:
        in_bfloat16: gathers weights in bfloat16 and adds up gradients in float32, whatever the
            type of the parts.

    Raises:
        InputError: the model does not name its blocks, so it would be gathered whole.
    """
    from transformers.distributed import DistributedConfig

    plan = dict.fromkeys(_blocks(model), "free_full_weight")
    sharding = DistributedConfig(
        fsdp_size=processes, fsdp_plan=plan, fsdp_mixed_precision=in_bfloat16
    )
    return {"distributed_config": sharding}


def _blocks(model: ModelSettings) -> list[str]:
    """The names of a model's blocks, with `*` for their numbers."""
    net = on_meta(model)
    kinds = set(net._no_split_modules or ())
    names = [name for name, part in net.named_modules() if type(part).__name__ in kinds]
    if not names:
        raise InputError(
            f"sharding: full: the code of {model.name} does not say what its layers are "
            "(`_no_split_modules`), so it cannot be sharded. Set `train.sharding: none`."
        )
    return sorted({re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name) for name in names})


def is_sharded(weight: torch.Tensor) -> bool:
    """Whether this process holds a part of a weight only."""
    from torch.distributed.tensor import DTensor

    return isinstance(weight, DTensor)


def save_whole(net: Any, folder: Path) -> None:
    """Saves a model as one that was never sharded; called in every process of a run.

    Args:
        folder: the main process writes to it.
    """
    sharded = any(is_sharded(weight) for weight in net.parameters())
    state = _gathered(net) if sharded else None
    if not distributed.is_main_process():
        return
    sharding = getattr(net.config, "distributed_config", None)
    net.config.distributed_config = None  # else transformers gathers once more, in all processes
    try:
        net.save_pretrained(folder, state_dict=state)
    finally:
        net.config.distributed_config = sharding


def _gathered(net: Any) -> dict[str, Any]:
    """All weights, whole, in the machine's memory: of the main process; empty in the others."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    state = get_model_state_dict(
        net, options=StateDictOptions(full_state_dict=True, cpu_offload=True)
    )
    # Of tied weights only one is gathered; transformers chooses which of their names is stored.
    names: dict[int, list[str]] = {}
    for name, weight in net.named_parameters(remove_duplicate=False):
        names.setdefault(id(weight), []).append(name)
    for tied in names.values():
        for name in tied if state else ():
            state[name] = next(state[other] for other in tied if other in state)
    return state
