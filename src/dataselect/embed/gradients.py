"""The gradient of a row's loss: which way the row would push the model."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Lt

from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.models.batches import Batches, pad
from dataselect.models.chat import Chat, Encoded
from dataselect.numerics import projection as projections
from dataselect.report import Progress
from dataselect.settings import PositiveInt

if TYPE_CHECKING:
    from torch import Tensor

LOOKS_WITH = "adapters"
ROWS = 256  # a shard: a row costs several times an embedding, and is larger
MOST_BYTES = 2**28  # of gradients that wait to be projected together, but of
LEAST_ROWS = {"rademacher": 16, "srht": 1, "none": 1}  # the matrix of signs is drawn once for all

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
    dims: PositiveInt = 8_192,
    projection: Kind = "rademacher",
    projection_seed: Annotated[int, Ge(0)] = 0,
    beta1: Annotated[float, Ge(0), Lt(1)] = Adam().beta1,
    beta2: Annotated[float, Ge(0), Lt(1)] = Adam().beta2,
    epsilon: Annotated[float, Gt(0)] = Adam().epsilon,
) -> Featurizer:
    """The LoRA gradient of a row's mean response loss at every checkpoint, projected, as a unit.

    A query's gradient g as it is; a pool row's as Adam would step: with the checkpoint's moments
    m and v, (β1·m + (1−β1)·g) / √(β2·v + (1−β2)·g² + ε).

    Args:
        model: the plan's section of the model under the adapters.
        checkpoints: c of them, of adapters, with Adam's moments beside.
        projection: `rademacher` (random signs), `srht` (much faster, the same error), or `none`.

    Returns:
        A function of conversations that gives, in evaluation mode:
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
    batches = Batches.on(net.device.type, gpu=8_192, cpu=512)
    width = projections.width(projection, length, dims)
    rates = np.asarray([one.mean_learning_rate for one in checkpoints], dtype=np.float32)
    rates = rates if rates.any() else np.ones_like(rates)  # a single step is all warm-up: rate 0

    def project(vectors: Tensor) -> np.ndarray:
        import torch

        if projection != "none":
            of = {"rademacher": projections.rademacher, "srht": projections.srht}[projection]
            vectors = of(vectors, dims, projection_seed)
        return torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()

    def compute(rows: list, side: str, advance: Progress) -> dict[str, np.ndarray]:
        encoded = chat.encode(rows)
        there = [i for i, row in enumerate(encoded) if row.has_response]
        at_once = max(LEAST_ROWS[projection], MOST_BYTES // (4 * length))
        found: list[np.ndarray] = []
        for number, one in enumerate(checkpoints):
            moments = _switch(net, one, parameters)
            parts = []
            for start in range(0, len(there), at_once):
                block = [encoded[i] for i in there[start : start + at_once]]
                raw = _of_rows(net, parameters, block, batches)
                if side == "pool":
                    for row in raw:  # one by one: the steps between need room too
                        row.copy_(stepped(row, *moments, adam))
                parts.append(project(raw))
                _tell(advance, net, block, projections.flops(projection, length, dims), number)
            found.append(np.concatenate(parts) if parts else np.zeros((0, width), np.float32))
        stored = np.float32 if projection == "none" else np.float16
        answer = np.full((len(rows), len(checkpoints), width), np.nan, dtype=stored)
        answer[there] = np.stack(found, axis=1)
        advance(len(rows) - len(there))
        weight = np.tile(rates / rates.sum(), (len(rows), 1))
        return {"gradients": answer, **({"weight": weight} if side == "queries" else {})}

    return compute


def _load(model: dict[str, Any], checkpoint: Checkpoint) -> tuple[Any, Chat]:
    from peft import PeftModel

    from dataselect.models.load import load_causal, load_tokenizer

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


def _of_rows(net: Any, parameters: dict[str, Any], rows: list[Encoded], batches: Batches) -> Tensor:
    """The gradients of rows: b D, fp32. None depends on the batches."""
    import torch

    length = sum(p.numel() for p in parameters.values())
    answer = torch.empty(len(rows), length, device=net.device)
    most = max(1, MOST_BYTES // (8 * length))  # a copy of the adapter a row, and its gradient

    def look(batch: list[int]) -> None:
        for start in range(0, len(batch), most):
            part = batch[start : start + most]
            with own_adapters(net, parameters, len(part)) as copies:
                loss = _losses(net, [rows[i] for i in part]).sum()
                found = torch.autograd.grad(loss, list(copies.values()))
            answer[part] = torch.cat([one.flatten(1) for one in found], dim=1).float()

    batches.run([len(row.ids) for row in rows], look)
    return answer


@contextmanager
def own_adapters(net: Any, parameters: dict[str, Any], rows: int) -> Generator[dict[str, Tensor]]:
    """Gives every row of a batch adapters of its own, equal to the model's: by name, b r d.

    The gradient of the sum of the rows' losses by them is then each row's own gradient, and a
    batch costs one pass forward and one back.
    """
    copies = {n: p.detach().repeat(rows, 1, 1).requires_grad_() for n, p in parameters.items()}
    changed = []
    for name, layer in net.named_modules():
        if f"{name}.lora_A.default.weight" in copies:
            down = copies[f"{name}.lora_A.default.weight"]
            up = copies[f"{name}.lora_B.default.weight"]
            layer.forward = _forward(layer.base_layer, down, up, layer.scaling["default"])
            changed.append(layer)
    try:
        yield copies
    finally:
        for layer in changed:
            del layer.forward  # the class's own shows again


def _forward(base: Any, down: Tensor, up: Tensor, scale: float) -> Any:
    """A linear layer with an adapter a row: (b t d) → base + scale · (x downᵀ) upᵀ."""

    def forward(x: Tensor) -> Tensor:
        own = (x.to(down.dtype) @ down.mT) @ up.mT
        answer = base(x)
        return answer + (scale * own).to(answer.dtype)

    return forward


def stepped(g: Tensor, m: Tensor, v: Tensor, adam: Adam) -> Tensor:
    """The direction (D) in which Adam would step from its moments, given one more gradient."""
    step = v * adam.beta2 + g.square().mul_(1 - adam.beta2) + adam.epsilon
    return (m * adam.beta1 + g * (1 - adam.beta1)).div_(step.sqrt_())


def _losses(net: Any, rows: list[Encoded]) -> Tensor:
    """The mean loss of every row's response tokens (b, nats per token), to be differentiated."""
    import torch

    ids, response, _ = pad(rows, str(net.device))
    wanted = response[:, 1:]
    first = int(wanted.any(0).int().argmax())
    keep = wanted.shape[1] - first + 1  # the last token predicts nothing
    # Causal attention and right padding: no real token ever sees a padded one.
    logits = net(input_ids=ids, use_cache=False, logits_to_keep=keep).logits[:, :-1]
    wanted, targets = wanted[:, first:], ids[:, 1 + first :]
    nll = torch.zeros(wanted.shape, device=ids.device)
    nll[wanted] = torch.nn.functional.cross_entropy(
        logits[wanted].float(), targets[wanted], reduction="none"
    )
    return nll.sum(1) / wanted.sum(1)


def _tell(advance: Progress, net: Any, rows: list[Encoded], each: float, number: int) -> None:
    """Rows are done at their first checkpoint; tokens and FLOPs are of every one."""
    from dataselect.models.flops import training_flops

    tokens = sum(len(row.ids) for row in rows)
    advance(0 if number else len(rows), tokens, training_flops(net, tokens) + each * len(rows))
