"""Refuses training that cannot fit into the memory at hand, and names what would."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dataselect import report
from dataselect.errors import InputError
from dataselect.models.architecture import Architecture
from dataselect.train.memory import Machine, Memory, needed
from dataselect.train.sharding import check_sharding

if TYPE_CHECKING:
    from dataselect.models.settings import ModelSettings
    from dataselect.train.fit import Recipe

#: An estimate may be this much above the memory at hand before it counts as too much.
TOLERANCE = 1.2

#: Changes of a recipe that save memory, in the order in which a message offers them.
CHANGES: tuple[dict[str, Any], ...] = (
    {"gradient_checkpointing": True},
    {"sharding": "full"},
    {"sharding": "full", "gradient_checkpointing": True},
    {"weights": "bfloat16"},
    {"weights": "bfloat16", "gradient_checkpointing": True},
    {"weights": "bfloat16", "sharding": "full", "gradient_checkpointing": True},
    {"weights": "bfloat16", "optimizer": "adamw_8bit", "gradient_checkpointing": True},
    {"method": "lora", "gradient_checkpointing": True},
    {"method": "lora", "weights": "bfloat16", "gradient_checkpointing": True},
    {"method": "lora", "weights": "nf4", "gradient_checkpointing": True},
)


#: Settings that can save memory: of `train`, and of references.
TRAIN_SETTINGS = ("gradient_checkpointing", "sharding", "weights", "optimizer", "method")
REFERENCE_SETTINGS = ("gradient_checkpointing", "sharding", "weights")


def check_memory(
    model: ModelSettings,
    recipe: Recipe,
    longest: int,
    where: str,
    settings: tuple[str, ...],
) -> None:
    """Checks that the longest row alone can be trained on here, before the model is loaded.

    More rows at a time shrink where they do not fit.

    Args:
        longest: the tokens of the longest row.
        where: the block of settings, for the message.
        settings: names of those that may be changed.

    Raises:
        InputError: it cannot, by more than the estimate may be wrong.
    """
    from dataselect.compute.memory import device_memory
    from dataselect.models.load import device, load_architecture
    from dataselect.train.fit import process_count
    from dataselect.train.nets import computes_in_bfloat16

    shape = load_architecture(model)
    if shape is None:
        return
    processes, on_gpu = process_count(recipe), device() == "cuda"
    machine = Machine(device_memory(), on_gpu, processes)
    computes = "bfloat16" if computes_in_bfloat16(recipe) else "float32"
    need = needed(shape, recipe, longest, computes, machine)
    offers = alternatives(shape, recipe, longest, settings, computes, machine)
    check_fits(need, machine.share, where, offers)


def check_fits(
    need: Memory, available: float | None, where: str, offers: dict[str, Memory]
) -> None:
    """Refuses what cannot fit.

    Refused is what is held alone above the memory at hand, and a total of over 1.2 times as much:
    estimates of activations are not exact.

    Args:
        available: bytes; None: not known.
        where: the block of settings, for the message.
        offers: settings that would change it, as text, and what they would take.

    Raises:
        InputError: it cannot fit.
    """
    if available is None or not _too_large(need, available):
        return
    raise InputError(
        f"{where}: expected a run that fits into {report.format_bytes(round(available))}; found "
        f"one that takes {describe(need)}. {_advice(offers, available)}"
    )


def describe(need: Memory) -> str:
    """An estimate and its parts, in words."""
    parts = {"weights": need.weights, "optimiser": need.optimizer}
    passing = {"gradients": need.gradients, "activations": need.activations}
    rest = ""
    if not need.accumulates:  # activations go as gradients come: only the larger counts
        least = min(passing, key=lambda name: passing[name])
        rest = f"; {least}, {report.format_bytes(round(passing.pop(least)))}, come at another time"
    words = " + ".join(
        f"{name} {report.format_bytes(round(part))}" for name, part in (parts | passing).items()
    )
    return f"{report.format_bytes(round(need.total))} ({words}{rest})"


def _too_large(need: Memory, available: float) -> bool:
    return need.held > available or need.total > TOLERANCE * available


def _advice(offers: dict[str, Memory], available: float) -> str:
    if not (changes := fitting(offers, available)):
        return "No setting makes it fit here. Choose a smaller model, or a GPU with more memory."
    return f"Set {changes}. See docs/large-models.md."


def fitting(offers: dict[str, Memory], available: float) -> str:
    """Which changes would make it fit: the first three, in words; empty where none does."""
    changes = [
        f"{change} ({report.format_bytes(round(need.total))})"
        for change, need in offers.items()
        if need.total <= available
    ]
    return "; or ".join(changes[:3])


def alternatives(
    shape: Architecture,
    recipe: Recipe,
    tokens: int,
    settings: tuple[str, ...],
    computes: str,
    machine: Machine,
) -> dict[str, Memory]:
    """What a recipe would take with other settings: the settings as text, and the memory.

    Args:
        settings: names of those that may be changed.
    """
    found = {}
    for change in CHANGES:
        new = {name: value for name, value in change.items() if getattr(recipe, name) != value}
        # LoRA stays LoRA; and nothing that a setting rules out is offered.
        if not new or not set(new) <= set(settings):
            continue
        if recipe.method == "lora" and "optimizer" in new:
            continue
        new |= _resets(recipe, new)
        changed = replace(recipe, **new)
        if changed.sharding == "full" and not _can_shard(changed, machine):
            continue
        kind = "float32" if computes == "float32" and changed.weights == "float32" else "bfloat16"
        text = ", ".join(f"`{name}: {_written(value)}`" for name, value in new.items())
        found[text] = needed(shape, changed, tokens, kind, machine)
    return found


def _can_shard(recipe: Recipe, machine: Machine) -> bool:
    """Whether there are several GPUs, and nothing of the recipe goes against it."""
    try:
        check_sharding(recipe, "train")
    except InputError:
        return False
    return machine.on_gpu and machine.processes > 1


def _resets(recipe: Recipe, new: dict[str, Any]) -> dict[str, Any]:
    """Settings that a change makes idle, and that are refused beside it, set to their defaults."""
    resets = {}
    if recipe.dtype == "float32" and new.get("weights", "float32") != "float32":
        resets["dtype"] = "auto"
    if recipe.optimizer == "adamw_float32" and new.get("method") == "lora":
        resets["optimizer"] = "adamw"
    return resets


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
