"""The gradient of a row's loss: the direction in which training on the row moves the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Lt

from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.embed import Feature
from dataselect.models.adapters import check_adapters
from dataselect.models.batches import Batches
from dataselect.models.chat import Encoded, load_chat
from dataselect.models.device_map import (
    compute_device,
    has_offloaded,
    make_adapters_real,
    recompute_blocks,
)
from dataselect.models.row_gradients import row_gradients
from dataselect.models.settings import ModelSettings
from dataselect.numerics import projection as projections
from dataselect.report import Progress, part_of
from dataselect.settings import NonNegativeInt, OnlyWith, PositiveInt

if TYPE_CHECKING:
    from torch import Tensor

#: A row costs several times as much as in other features, and is larger.
ROWS_PER_SHARD = 256

#: Bytes of gradients that are held to be projected together.
MAX_BYTES = 2**28

#: Rows that are projected together at least: random signs are drawn once for all of them.
MIN_PROJECTED_ROWS = {"rademacher": 16, "srht": 1, "none": 1}

Kind = Literal["rademacher", "srht", "none"]


PROJECTED = OnlyWith("projection", "rademacher", "srht")


class Adam(NamedTuple):
    """Adam's constants as LESS uses them: without bias correction, and ε under the root."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8


@dataclass(frozen=True)
class Projection:
    """How gradients are made shorter: see `gradients`."""

    kind: Kind
    dims: int
    seed: int

    def width(self, length: int) -> int:
        """The length of a projected gradient."""
        return projections.width(self.kind, length, self.dims)

    def flops(self, length: int) -> float:
        """FLOPs of projecting one gradient."""
        return projections.flops(self.kind, length, self.dims)

    def unit_vectors(self, gradients: Tensor) -> np.ndarray:
        """Projects gradients (b D) and scales each to length 1: b width, float32."""
        import torch

        if self.kind != "none":
            project = {"rademacher": projections.rademacher, "srht": projections.srht}[self.kind]
            gradients = project(gradients, self.dims, self.seed)
        return torch.nn.functional.normalize(gradients.float(), dim=1).cpu().numpy()


def gradients(
    *,
    dims: Annotated[PositiveInt, PROJECTED] = 8_192,
    projection: Kind = "srht",
    projection_seed: Annotated[NonNegativeInt, PROJECTED] = 0,
    beta1: Annotated[float, Ge(0), Lt(1)] = Adam().beta1,
    beta2: Annotated[float, Ge(0), Lt(1)] = Adam().beta2,
    epsilon: Annotated[float, Gt(0)] = Adam().epsilon,
) -> Feature:
    """Takes the LoRA gradient of a row's mean response loss at each of c checkpoints, projected.

    A query's gradient g stays as it is. A pool row's becomes the step that Adam would take: with
    the checkpoint's moments m and v, (β1·m + (1−β1)·g) / √(β2·v + (1−β2)·g² + ε). The model is in
    evaluation mode.

    Gives `gradients` (b c dims, float16; without projection b c D, float32), each of length 1, NaN
    where a row has no response token; and of queries also `weight` (m c, float32): the
    checkpoints' mean learning rates over their sum.

    Args:
        dims: numbers that are left of a gradient.
        projection: `srht` (a subsampled randomised Hadamard transform), `rademacher` (random
            signs, as published: the same error, much slower), or `none`.
        projection_seed: of the projection's random signs.
        beta1, beta2, epsilon: Adam's constants.

    Source: arXiv 2402.04333, princeton-nlp/LESS@8abf962; here moments are matched by name.
    """
    chosen = Projection(projection, dims, projection_seed)
    return Feature(
        load=partial(_load, projection=chosen, adam=Adam(beta1, beta2, epsilon)),
        outputs=("gradients",),
        bytes_per_row=lambda hidden_size, checkpoints: (
            None if projection == "none" else checkpoints * dims * 2
        ),
        needs_reference="adapters",
        rows_per_shard=ROWS_PER_SHARD,
    )


def _load(
    model: ModelSettings, checkpoints: list[Checkpoint], *, projection: Projection, adam: Adam
) -> Featurizer:
    net = _load_adapters(model, checkpoints[0])
    chat = load_chat(model)
    parameters = {name: p for name, p in net.named_parameters() if p.requires_grad}
    length = sum(p.numel() for p in parameters.values())
    width = projection.width(length)
    stored = np.float32 if projection.kind == "none" else np.float16
    batches = Batches.on(compute_device(net).type, gpu=8_192, cpu=512)
    rates = np.asarray([point.mean_learning_rate for point in checkpoints], dtype=np.float32)
    rates = rates if rates.any() else np.ones_like(rates)  # a single step is all warm-up: rate 0

    def unit_vectors(block: list[Encoded], moments: tuple[Tensor, Tensor] | None) -> np.ndarray:
        raw = row_gradients(net, parameters, block, batches)
        if moments is not None:
            for row in raw:  # row by row: the intermediate results take memory too
                row.copy_(adam_step(row, *moments, adam))
        return projection.unit_vectors(raw)

    def featurize(rows: list, side: str, progress: Progress) -> dict[str, np.ndarray]:
        encoded = chat.encode(rows)
        usable = [number for number, row in enumerate(encoded) if row.has_response]
        vectors = np.full((len(rows), len(checkpoints), width), np.nan, dtype=stored)
        counted = part_of(progress, len(checkpoints))
        for number, checkpoint in enumerate(checkpoints):
            moments = _set_checkpoint(net, checkpoint, parameters)
            for part in _blocks(usable, projection.kind, length):
                block = [encoded[row] for row in part]
                vectors[part, number] = unit_vectors(block, moments if side == "pool" else None)
                _report(counted, net, block, projection.flops(length))
        progress(len(rows) - len(usable))
        weight = np.tile(rates / rates.sum(), (len(rows), 1))
        return {"gradients": vectors, **({"weight": weight} if side == "queries" else {})}

    return featurize


def _load_adapters(model: ModelSettings, checkpoint: Checkpoint) -> Any:
    """The model under a checkpoint's adapters, in evaluation mode."""
    from peft import PeftModel

    from dataselect.models.load import load_causal

    net = load_causal(model, spread=True)
    folder = str(checkpoint.folder)
    check_adapters(net, checkpoint.folder, model.name)
    if not has_offloaded(net):
        return PeftModel.from_pretrained(net, folder, is_trainable=True).eval()
    del net.hf_device_map  # peft would spread the model anew, without our limits
    low: Any = {"low_cpu_mem_usage": True}  # else peft warns that it cannot fill the adapters
    adapted = PeftModel.from_pretrained(net, folder, is_trainable=True, **low).eval()
    make_adapters_real(adapted)  # `_set_checkpoint` fills them
    recompute_blocks(adapted)
    return adapted


def _set_checkpoint(
    net: Any, checkpoint: Checkpoint, names: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """Puts a checkpoint's adapters into the model; Adam's moments (D each) in the names' order."""
    import torch
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(net, load_file(checkpoint.folder / "adapter_model.safetensors"))
    state = load_file(checkpoint.folder / "adam.safetensors")

    def flat(moment: str) -> Tensor:
        return torch.cat([state[f"{moment}.{name}"].flatten() for name in names]).to(
            compute_device(net)
        )

    return flat("exp_avg"), flat("exp_avg_sq")


def _blocks(rows: list[int], kind: Kind, length: int) -> Iterator[list[int]]:
    """Row numbers in blocks whose gradients are held together."""
    size = max(MIN_PROJECTED_ROWS[kind], MAX_BYTES // (4 * length))
    return (rows[start : start + size] for start in range(0, len(rows), size))


def adam_step(g: Tensor, m: Tensor, v: Tensor, adam: Adam) -> Tensor:
    """The step (D) that Adam takes from its moments m and v, given the gradient g."""
    step = v * adam.beta2 + g.square().mul_(1 - adam.beta2) + adam.epsilon
    return (m * adam.beta1 + g * (1 - adam.beta1)).div_(step.sqrt_())


def _report(progress: Progress, net: Any, rows: list[Encoded], projection_flops: float) -> None:
    """Reports rows, tokens and FLOPs."""
    from dataselect.models.flops import training_flops

    tokens = sum(len(row.ids) for row in rows)
    flops = training_flops(net, tokens) + projection_flops * len(rows)
    progress(len(rows), tokens, flops)
