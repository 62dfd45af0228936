"""The gradient of a row's loss: which way the row would push the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Lt

from dataselect import projection as projections
from dataselect.chat import Chat, Encoded
from dataselect.features import Advance, Compute
from dataselect.references import Checkpoint
from dataselect.settings import Count

if TYPE_CHECKING:
    from torch import Tensor

LOOKS_WITH = "adapters"
ROWS = 256  # a shard: a gradient costs some forty times an embedding
MOST_BYTES = 2**28  # of gradients that wait to be projected together
LEAST_ROWS = 16  # a projection draws its matrix once for so many

Kind = Literal["rademacher", "srht", "none"]


class Adam(NamedTuple):
    """Adam's constants as LESS has them; no bias correction, and ε under the root."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8


def gives(**settings: object) -> tuple[str, ...]:
    """The arrays of these features."""
    return ("gradients",)


def bytes_a_row(*, checkpoints: int, dims: int, projection: str, **settings: object) -> int | None:
    """What is stored of a row, at most."""
    return None if projection == "none" else checkpoints * dims * 2


def gradients(
    model: dict[str, Any],
    checkpoints: list[Checkpoint],
    *,
    dims: Count = 8_192,
    projection: Kind = "rademacher",
    projection_seed: Annotated[int, Ge(0)] = 0,
    beta1: Annotated[float, Ge(0), Lt(1)] = Adam().beta1,
    beta2: Annotated[float, Ge(0), Lt(1)] = Adam().beta2,
    epsilon: Annotated[float, Gt(0)] = Adam().epsilon,
) -> Compute:
    """The LoRA gradient of a row's mean response loss at every checkpoint, projected, as a unit.

    A query's gradient g as it is; a pool row's as Adam would step: with the checkpoint's moments
    m and v, (β1·m + (1−β1)·g) / √(β2·v + (1−β2)·g² + ε).

    Args:
        model: the plan's section of the model under the adapters.
        checkpoints: c of them, of adapters, with Adam's moments beside.
        projection: `rademacher` (random signs), `srht` (much faster, the same error), or `none`.

    Returns:
        A function of conversations that gives, one row at a time in evaluation mode:
        `gradients` (b c dims, float16; float32 and all of D where nothing is projected), each of
        length 1; NaN where a row has no response token.
        `weight` (m c, float32; of queries only): the checkpoints' mean learning rates over their
        sum.

    Source: arXiv 2402.04333, princeton-nlp/LESS@8abf962; moments are matched by name.
    """
    adam = Adam(beta1, beta2, epsilon)
    net, chat = _load(model, checkpoints[0])
    parameters = {n: p for n, p in net.named_parameters() if p.requires_grad}
    length = sum(p.numel() for p in parameters.values())
    rates = np.asarray([one.mean_learning_rate for one in checkpoints], dtype=np.float32)
    rates = rates if rates.any() else np.ones_like(rates)  # a single step is all warm-up: rate 0

    def project(vectors: Tensor) -> np.ndarray:
        import torch

        if projection != "none":
            of = {"rademacher": projections.rademacher, "srht": projections.srht}[projection]
            vectors = of(vectors, dims, projection_seed)
        return torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()

    def compute(rows: list, side: str, advance: Advance) -> dict[str, np.ndarray]:
        encoded = chat.encode(rows)
        there = [i for i, row in enumerate(encoded) if row.response[1:].any()]
        at_once = max(LEAST_ROWS, MOST_BYTES // (4 * length))
        found: list[np.ndarray] = []
        for number, one in enumerate(checkpoints):
            moments = _switch(net, one, parameters)
            parts = []
            for start in range(0, len(there), at_once):
                block = [encoded[i] for i in there[start : start + at_once]]
                raw = _of_rows(net, parameters, block, adam, moments if side == "pool" else None)
                parts.append(project(raw))
                _tell(advance, net, block, projections.flops(projection, length, dims), number)
            found.append(np.concatenate(parts) if parts else np.zeros((0, dims), np.float32))
        stored = np.float32 if projection == "none" else np.float16
        answer = np.full((len(rows), len(checkpoints), found[0].shape[1]), np.nan, dtype=stored)
        answer[there] = np.stack(found, axis=1)
        advance(len(rows) - len(there))
        weight = np.tile(rates / rates.sum(), (len(rows), 1))
        return {"gradients": answer, **({"weight": weight} if side == "queries" else {})}

    return compute


def _load(model: dict[str, Any], checkpoint: Checkpoint) -> tuple[Any, Chat]:
    from peft import PeftModel

    from dataselect.model import load_causal, load_tokenizer

    net = load_causal(model)
    net = PeftModel.from_pretrained(net, str(checkpoint.folder), is_trainable=True).eval()
    return net, Chat(load_tokenizer(model), model["chat"], model["max_tokens"])


def _switch(net: Any, checkpoint: Checkpoint, names: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Puts a checkpoint's adapter into the model; returns its moments, in the parameters' order."""
    import torch
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(net, load_file(checkpoint.folder / "adapter_model.safetensors"))
    state = load_file(checkpoint.folder / "adam.safetensors")

    def flat(moment: str) -> Tensor:
        return torch.cat([state[f"{moment}.{name}"].flatten() for name in names]).to(net.device)

    return flat("exp_avg"), flat("exp_avg_sq")


def _of_rows(
    net: Any,
    parameters: dict[str, Any],
    rows: list[Encoded],
    adam: Adam,
    moments: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """The gradients of rows (b D, fp32), one at a time; as Adam would step, given moments."""
    import torch

    length = sum(p.numel() for p in parameters.values())
    answer = torch.empty(len(rows), length, device=net.device)
    for number, row in enumerate(rows):
        found = torch.autograd.grad(_loss(net, row), list(parameters.values()))
        g = torch.cat([one.flatten() for one in found]).float()
        answer[number] = g if moments is None else stepped(g, *moments, adam)
    return answer


def stepped(g: Tensor, m: Tensor, v: Tensor, adam: Adam) -> Tensor:
    """The direction (D) in which Adam would step from its moments, given one more gradient."""
    m = adam.beta1 * m + (1 - adam.beta1) * g
    v = adam.beta2 * v + (1 - adam.beta2) * g.square()
    return m / (v + adam.epsilon).sqrt()


def _loss(net: Any, row: Encoded) -> Tensor:
    """The mean loss of a row's response tokens, nats per token, to be differentiated."""
    import torch

    ids = torch.from_numpy(row.ids.astype(np.int64)).to(net.device)
    wanted = torch.from_numpy(row.response[1:]).to(net.device)
    first = int(np.argmax(row.response[1:]))
    logits = net(input_ids=ids[None], use_cache=False, logits_to_keep=len(ids) - first).logits[0]
    kept = wanted[first:]
    return torch.nn.functional.cross_entropy(logits[:-1][kept].float(), ids[1 + first :][kept])


def _tell(advance: Advance, net: Any, rows: list[Encoded], each: float, number: int) -> None:
    """Rows are done at their first checkpoint; tokens and FLOPs are of every one."""
    from dataselect.model import training_flops

    tokens = sum(len(row.ids) for row in rows)
    advance(0 if number else len(rows), tokens, training_flops(net, tokens) + each * len(rows))
