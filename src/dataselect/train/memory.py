"""The memory that training takes on each GPU, from a model's sizes and a recipe.

The formulas follow what torch keeps of a decoder with RMSNorm, rotary positions and fused
attention; docs/large-models.md compares them with what torch's MemTracker counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dataselect.models.architecture import Architecture

if TYPE_CHECKING:
    from dataselect.train.fit import Recipe

#: Bytes of a number of each type; of NF4 with the constants of its blocks.
SIZES = {"float32": 4.0, "bfloat16": 2.0, "nf4": 0.52}

#: Bytes of a moment in 8 bits, with the constants of its blocks.
IN_8_BITS = 1.03


@dataclass(frozen=True)
class Machine:
    """Where training runs.

    Attributes:
        memory: bytes of a GPU, or of the machine where there is none; None: not known.
        on_gpu: whether there is a GPU.
        processes: how many share every step.
    """

    memory: float | None
    on_gpu: bool
    processes: int

    @property
    def share(self) -> float | None:
        """The memory of a process: a GPU, or its part of the machine."""
        return self.memory if self.memory is None or self.on_gpu else self.memory / self.processes


@dataclass(frozen=True)
class Memory:
    """Bytes on each GPU, or of the machine where there is none.

    Attributes:
        weights, gradients, optimizer: held all the time.
        activations: at most, with what backward and the logits take for a moment.
        accumulates: whether gradients are there while activations are.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float
    accumulates: bool

    @property
    def held(self) -> float:
        """What is held whatever the rows' length."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> float:
        """The most at any time."""
        beside = self.activations + (self.gradients if self.accumulates else 0)
        return self.weights + self.optimizer + max(self.gradients, beside)


def needed(
    shape: Architecture, recipe: Recipe, tokens: int, computes: str, machine: Machine
) -> Memory:
    """The memory that a recipe takes.

    Args:
        tokens: of a micro-batch, padding included.
        computes: `float32`, or `bfloat16` under autocast.
        machine: several processes hold gradients a second time, to send them; or, with
            `sharding: full`, each a part of all but adapters, and gathers what computes.
    """
    parts = machine.processes if recipe.sharding == "full" else 1
    base = SIZES["bfloat16" if recipe.weights == "nf4" else recipe.weights]
    quantized = sum(out * into for out, into in shape.layer_matrices.values())
    weights = base * shape.parameters
    if recipe.weights == "nf4":
        weights -= (base - SIZES["nf4"]) * quantized
    if parts > 1:
        weights = weights / parts + _gathered(shape, computes)
    trained = shape.parameters / parts
    if recipe.method == "lora":
        trained = sum(recipe.lora_rank * (out + into) for out, into in adapted(shape, recipe))
        base = SIZES["float32"]
        weights += base * trained
    # What is gathered in bfloat16 leaves activations as weights of that type do.
    gathered = parts > 1 and computes == "bfloat16"
    computing = replace(recipe, weights="bfloat16") if gathered else recipe
    return Memory(
        weights=weights,
        gradients=base * trained * (2 if machine.processes > 1 and parts == 1 else 1),
        optimizer=_moments(shape, recipe, base, trained),
        activations=_activations(shape, computing, tokens, computes, machine.on_gpu),
        accumulates=recipe.batch_size > recipe.micro_batch_size * machine.processes,
    )


def held_per_parameter(recipe: Recipe) -> float:
    """Bytes of weights, gradients and optimizer for each parameter of the model's layers.

    Of LoRA, the weights alone: what is trained is small beside them.
    """
    weights = SIZES[recipe.weights]
    if recipe.method == "lora":
        return weights
    return 2 * weights + 2 * _moment_bytes(recipe, weights)


def _moments(shape: Architecture, recipe: Recipe, base: float, trained: float) -> float:
    """Bytes of both moments of so many trained parameters, of `base` bytes each."""
    bytes_ = 2 * _moment_bytes(recipe, base) * trained
    if recipe.optimizer == "adamw_8bit" and recipe.method == "full":
        bytes_ += 2 * (SIZES["float32"] - IN_8_BITS) * shape.embedded  # in 32 bits
    return bytes_


def _moment_bytes(recipe: Recipe, trained: float) -> float:
    """Bytes of a moment, where a trained parameter has `trained`."""
    return {"adamw": trained, "adamw_float32": 4.0, "adamw_8bit": IN_8_BITS}[recipe.optimizer]


def adapted(shape: Architecture, recipe: Recipe) -> list[tuple[int, int]]:
    """The matrices that get LoRA's adapters: numbers out, numbers in."""
    if recipe.lora_modules == "all-linear":
        return list(shape.layer_matrices.values())
    return [
        size
        for name, size in shape.matrices.items()
        if any(f".{name}".endswith(f".{module}") for module in recipe.lora_modules)
    ]


def _activations(
    shape: Architecture, recipe: Recipe, tokens: int, computes: str, on_gpu: bool
) -> float:
    """Bytes of activations, at most."""
    size = SIZES[computes]
    residual = SIZES["float32" if recipe.weights == "float32" else "bfloat16"]
    layer = tokens * _layer(shape, recipe, computes, on_gpu)
    # Of the logits, backward holds the log-softmax and two gradients, in float32.
    logits = 12.0 * shape.vocabulary * tokens + tokens * 3 * shape.hidden * residual
    # Autocast keeps a copy of the weights in bfloat16 until forward ends, or backward needs it.
    copied = computes == "bfloat16" and recipe.weights == "float32"
    cast = 2.0 * sum(out * into for out, into in shape.matrices.values()) if copied else 0.0
    if not recipe.gradient_checkpointing:
        return shape.layers * layer + logits + cast
    kept = shape.layers * shape.hidden * residual * tokens
    backward = (2 * size + (8 if recipe.method == "lora" else 0)) * shape.intermediate * tokens
    return kept + max(logits + cast, layer + backward + cast / max(1, shape.layers))


def _layer(shape: Architecture, recipe: Recipe, computes: str, on_gpu: bool) -> float:
    """Bytes per token that a layer keeps for backward."""
    size, hidden = SIZES[computes], shape.hidden
    in_float32 = recipe.weights == "float32"
    inside = shape.intermediate
    if recipe.method == "lora":
        # Frozen matrices keep no input; each adapter keeps its own, and dropout a mask of it.
        mask = (1.0 if on_gpu else 4.0) if recipe.lora_dropout else 0.0
        matrices = adapted(shape, recipe)
        adapters = sum((mask + size) * into + size * recipe.lora_rank for _, into in matrices)
        base = 8.0 * hidden + size * (2 * shape.queries + 2 * shape.keys + 3 * inside)
        return base + adapters / shape.layers
    # Of both norms: the input in float32, and the input normed.
    norms = 2 * hidden * (4.0 + (4.0 if in_float32 else 2.0))
    # What the matrices read: one tensor for each norm; a copy for each matrix under autocast.
    copies = 2 if size == (4.0 if in_float32 else 2.0) else 5 if shape.gated else 4
    attention = size * (3 * shape.queries + 2 * shape.keys)
    return norms + copies * size * hidden + attention + size * (4 if shape.gated else 2) * inside


def _gathered(shape: Architecture, computes: str) -> float:
    """Bytes of what is whole for a moment: the head, the block that computes, the one after it."""
    blocks = sum(out * into for out, into in shape.layer_matrices.values())
    return SIZES[computes] * (shape.vocabulary * shape.hidden + 2 * blocks / max(1, shape.layers))
