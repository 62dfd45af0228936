"""Loads a model that is larger than one GPU over all of them, memory and disk."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import socket
import uuid
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect import report
from dataselect.compute.memory import free_memory
from dataselect.compute.placement import Placement, current_placement
from dataselect.data import files

if TYPE_CHECKING:
    import torch

#: Of free memory, what weights may take where no limit is set; activations need the rest.
SHARE = 0.8


def spread_options(weights: int, name: str) -> dict[str, Any]:
    """What `from_pretrained` is given to spread a model; nothing where one device is enough.

    Args:
        weights: bytes.
        name: the model's, for messages.
    """
    wanted = current_placement()
    if wanted is None:
        return {}
    free_memory()
    limits = _limits(wanted)
    first = limits[next(iter(limits))]
    if weights <= first:
        if len(limits) > 2:
            report.console.print(
                f"{name} fits on one GPU, and the others idle: without `device_map` each has a "
                "worker of its own"
            )
        return {}
    report.console.print(
        f"{name}: {report.format_bytes(weights)} of weights, and {report.format_bytes(first)} for "
        "them on the first device: it is spread (`device_map: auto`)"
    )
    logging.getLogger("accelerate").setLevel(logging.ERROR)  # "parameters are on the meta device"
    folder = _new_folder(files.scratch_folder() / "offload")
    return {"device_map": "auto", "max_memory": limits, "offload_folder": folder}


def _limits(wanted: Placement) -> dict[int | str, int]:
    """The most bytes of weights on every device, as accelerate names them: GPUs, then `cpu`."""
    import psutil
    import torch

    def limit(wished: int | None, free: int) -> int:
        return int(SHARE * free) if wished is None else min(wished, free)

    gpus = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    limits: dict[int | str, int] = {
        gpu: limit(wanted.gpu, torch.cuda.mem_get_info(gpu)[0]) for gpu in gpus
    }
    return limits | {"cpu": limit(wanted.cpu, psutil.virtual_memory().available)}


def _new_folder(home: Path) -> str:
    """A folder, not made yet, for weights that lie on disk otherwise than in the model's files.

    It goes with the model (`remove_with`), or this process; those of killed processes of this
    machine go now.
    """
    import psutil

    machine = f"{socket.gethostname()}-"
    for path in home.glob(f"{machine}*"):
        if not psutil.pid_exists(int(path.name.removeprefix(machine).split("-")[0])):
            shutil.rmtree(path, ignore_errors=True)
    folder = str(home / f"{machine}{os.getpid()}-{uuid.uuid4().hex}")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def remove_with(net: Any, options: dict[str, Any]) -> None:
    """Removes the folder of a model's weights on disk when the model is freed."""
    if options:
        weakref.finalize(net, shutil.rmtree, options["offload_folder"], ignore_errors=True)


def compute_device(net: Any) -> torch.device:
    """The device that a model's inputs go to, also where its first weights are offloaded."""
    import torch

    if net.device.type != "meta":
        return net.device
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def has_offloaded(net: torch.nn.Module) -> bool:
    """Whether some weights lie elsewhere than on the device that computes with them."""
    return any(weight.is_meta for weight in net.parameters())


def weights_of(net: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """A model's weights by name; those that lie elsewhere are read while they are looked at."""
    from accelerate.utils import align_module_device

    if not has_offloaded(net):
        yield from net.named_parameters()
        return
    for prefix, module in net.named_modules():
        with align_module_device(module):
            yield from module.named_parameters(prefix=prefix, recurse=False)


def recompute_blocks(net: torch.nn.Module) -> None:
    """Lets each block of a model compute its forward pass again in the backward pass.

    Else all weights that were read from memory or disk stay until the backward pass is done.
    """
    from torch.utils.checkpoint import checkpoint
    from transformers.modeling_layers import GradientCheckpointingLayer

    for block in net.modules():
        if isinstance(block, GradientCheckpointingLayer):
            forward: Any = partial(checkpoint, block.forward, use_reentrant=False)
            block.forward = forward


def make_adapters_real(net: torch.nn.Module) -> None:
    """Gives LoRA's adapters of offloaded layers memory where those compute; it holds no values yet.

    peft makes adapters where a layer's weight lies, which has no memory while it is offloaded.
    """
    for layer in net.modules():
        for name, part in layer.named_children():
            if name in ("lora_A", "lora_B") and has_offloaded(part):
                part.to_empty(device=compute_device(net))
