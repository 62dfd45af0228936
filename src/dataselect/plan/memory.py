"""The memory that training will take on each GPU, before anything is loaded."""

from __future__ import annotations

from dataclasses import replace

from dataselect import report
from dataselect.compute.memory import gpu_memories, memory_bytes
from dataselect.errors import InputError
from dataselect.machine import machine_memory
from dataselect.models.architecture import Architecture, read_architecture
from dataselect.models.settings import ModelSettings
from dataselect.plan.disk import row_bytes, row_count
from dataselect.plan.run import Plan
from dataselect.score import PoolScorer
from dataselect.score._memory import needed_bytes
from dataselect.settings import load_part, part_function, settings_of
from dataselect.train.fit import Recipe, process_count
from dataselect.train.memory import Machine, Memory, needed
from dataselect.train.memory_limits import (
    TRAIN_SETTINGS,
    alternatives,
    check_fits,
    describe,
    fitting,
)
from dataselect.train.nets import uses_bfloat16
from dataselect.train.sharding import check_processes


def training_memory(sections: Plan, train_memory: str | None = None) -> list[str]:
    """A line on the memory of training, and one on that of the reference if there is one.

    Rows are taken to be as long as `max_tokens` permits.

    Args:
        train_memory: of each GPU that trains, like `80GB`; None: as this machine's.

    Raises:
        InputError: weights, gradients and optimiser alone are larger than the memory at hand; or
            there are no several GPUs to shard a model over.
    """
    limit = None
    if train_memory is not None:
        limit = memory_bytes(train_memory, "train.memory")
    limits = {"train": limit, "reference": None}
    parts = {"train": (sections.train.model, sections.train.recipe, "params.yaml: train")}
    settings = {"train": TRAIN_SETTINGS}
    reference, model = sections.reference.reference, sections.reference.model
    if reference is not None and model is not None:
        recipe = load_part("reference", reference).recipe
        parts["reference"] = (model, recipe, f"methods.yaml: reference: {reference.name}")
        own = settings_of(part_function("reference", reference.name, "plan.json"))
        settings["reference"] = tuple(name for name in TRAIN_SETTINGS if name in own)
    return [_line(stage, *part, settings[stage], limits[stage]) for stage, part in parts.items()]


def scoring_memory(sections: Plan) -> str | None:
    """A line on the memory of a scorer that sees the pool as a whole, as far as it is known."""
    scorer = load_part("score", sections.score.scorer)
    if not isinstance(scorer, PoolScorer):
        return None
    size, rows = row_bytes(sections), row_count(sections)
    if size is None or rows is None:
        return None
    need = round(needed_bytes(scorer, size, rows))
    available = round(machine_memory())
    line = (
        f"memory of score: at most {report.format_bytes(need)} of {report.format_bytes(available)}"
        f", as `{sections.score.scorer.name}` holds what it reads of all rows"
    )
    if need > available:
        line += ". The stage refuses what does not fit, after the features are computed"
    return line


def training_bytes(sections: Plan) -> tuple[float, float] | None:
    """The bytes that training takes at most, and those at hand, on each GPU or of the machine.

    Returns:
        None where either is not known before the model is read.
    """
    recipe, model = sections.train.recipe, sections.train.model
    place, shape = machine(recipe), read_architecture(model)
    if place.share is None or shape is None:
        return None
    computes = "bfloat16" if uses_bfloat16(recipe, place.on_gpu) else "float32"
    tokens = recipe.micro_batch_size * model.max_tokens
    return needed(shape, recipe, tokens, computes, place).total, place.share


def machine(recipe: Recipe, gpu_memory: int | None = None) -> Machine:
    """Where a recipe will run, as far as it can be known without torch.

    Args:
        gpu_memory: bytes of each GPU, where it will run on others than those here.
    """
    if gpu_memory is not None:  # as many GPUs there as processes are asked for
        return Machine(gpu_memory, True, process_count(recipe, gpus=0))
    gpus = gpu_memories()
    processes = process_count(recipe, gpus=len(gpus or []))
    if gpus:
        return Machine(min(gpus), True, processes)
    return Machine(None if gpus is None else machine_memory(), gpus is None, processes)


def _check_sharding(recipe: Recipe, place: Machine, elsewhere: bool, where: str) -> None:
    """Refuses to shard without a GPU, where processes share the memory, or over one alone.

    Args:
        elsewhere: whether it will run on the GPUs of another machine, which cannot be counted.
    """
    if recipe.sharding == "full" and elsewhere and recipe.processes == "auto":
        raise InputError(
            f"{where}.processes: auto: the GPUs of another machine, which `memory` is of, cannot "
            "be counted here, and `sharding: full` divides the model by their number. Set "
            "`processes` to it."
        )
    if recipe.sharding == "full" and not place.on_gpu:
        raise InputError(
            f"{where}.sharding: full: expected several GPUs; found none, and processes without a "
            "GPU share the machine's memory. Set `train.sharding: none`; or, to plan for the GPUs "
            "of another machine, their memory and number, like `train.memory: 80GB` and "
            "`train.processes: 8`."
        )
    if place.memory is not None:  # else how many GPUs there are is not known
        check_processes(recipe, place.processes, where)


def _line(
    stage: str,
    model: ModelSettings,
    recipe: Recipe,
    where: str,
    settings: tuple[str, ...],
    gpu_memory: int | None,
) -> str:
    """What a stage takes, in words; refuses what cannot fit."""
    place = machine(recipe, gpu_memory)
    _check_sharding(recipe, place, gpu_memory is not None, where)
    shape = read_architecture(model)
    if shape is None:
        return f"memory of {stage}: not known before the configuration of {model.name} is read"
    computes = "bfloat16" if uses_bfloat16(recipe, place.on_gpu) else "float32"
    tokens = recipe.micro_batch_size * model.max_tokens
    need = needed(shape, recipe, tokens, computes, place)
    # How long the rows are is not known yet: only what is held in any case can be refused.
    least = needed(shape, recipe, 1, computes, place)
    offers = alternatives(shape, recipe, model.max_tokens, settings, computes, place)
    check_fits(least, place.share, where, offers)
    at_hand = "" if place.share is None else f" of {report.format_bytes(round(place.share))}"
    device = "each GPU" if place.on_gpu else "the machine"
    line = (
        f"memory of {stage}: at most {describe(need)}{at_hand} on {device}, with "
        f"{recipe.micro_batch_size} × {model.max_tokens:,} tokens at a time"
    )
    if place.share is not None and need.total > place.share:
        line += ". That is no failure: where rows are that long, fewer pass at a time"
        offers = _smaller_batches(shape, recipe, model.max_tokens, computes, place)
        offers |= alternatives(shape, recipe, tokens, settings, computes, place)
        if changes := fitting(offers, place.share):
            line += f". So that all fit: set {changes}"
    return line


def _smaller_batches(
    shape: Architecture, recipe: Recipe, longest: int, computes: str, place: Machine
) -> dict[str, Memory]:
    """The largest micro-batch below the recipe's that fits, with checkpointing if it takes that."""
    sizes = [size for size in range(recipe.micro_batch_size - 1, int(recipe.packed), -1)
             if recipe.batch_size % size == 0]  # fmt: skip
    for checkpointing in {recipe.gradient_checkpointing: None, True: None}:
        for size in sizes:
            changed = replace(recipe, micro_batch_size=size, gradient_checkpointing=checkpointing)
            need = needed(shape, changed, size * longest, computes, place)
            if place.share is not None and need.total <= place.share:
                is_new = checkpointing and not recipe.gradient_checkpointing
                beside = ", `gradient_checkpointing: true`" if is_new else ""
                return {f"`micro_batch_size: {size}`{beside}": need}
    return {}
