"""Models larger than one GPU: over which memory an engine lets their weights be spread."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from dataselect.compute.memory import memory_bytes
from dataselect.settings import OnlyWith

DeviceMap = Literal["auto"] | None
MaxMemory = Annotated[dict[Literal["gpu", "cpu"], str] | None, OnlyWith("device_map", "auto")]


@dataclass(frozen=True)
class Placement:
    """A model that is too large for one GPU goes to all GPUs, then to memory, then to disk.

    Attributes:
        gpu: the most bytes of weights on each GPU; None: a share of what is free.
        cpu: the most bytes of weights in the machine's memory; None: a share of what is free.
    """

    gpu: int | None = None
    cpu: int | None = None


def placement(device_map: DeviceMap, max_memory: MaxMemory, where: str) -> Placement | None:
    """The placement that an engine's settings ask for; None: a model lies on one device.

    Args:
        where: the engine's block in params.yaml, for messages.

    Raises:
        InputError: a limit is not a size.
    """
    if device_map is None:
        return None
    limits = {
        name: memory_bytes(size, f"{where}.max_memory.{name}")
        for name, size in (max_memory or {}).items()
    }
    return Placement(**limits)


#: What this process may do with a model that does not fit.
_current: Placement | None = None


@contextmanager
def placed(wanted: Placement | None) -> Generator[None]:
    """Models that are loaded in the body, by loaders that can spread them, follow a placement.

    None changes nothing.
    """
    before = _current
    use_placement(wanted)
    try:
        yield
    finally:
        _set(before)


def use_placement(wanted: Placement | None) -> None:
    """Sets the placement of this process for good, as a worker does; None changes nothing."""
    _set(wanted or _current)


def _set(wanted: Placement | None) -> None:
    global _current
    _current = wanted


def current_placement() -> Placement | None:
    """The placement that models loaded now follow."""
    return _current
