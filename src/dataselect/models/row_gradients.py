"""Each row's own gradient by a model's LoRA adapters, for a batch of rows in one pass."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dataselect.models.batches import Batches, pad
from dataselect.models.chat import Encoded
from dataselect.models.device_map import compute_device
from dataselect.models.rotary import length_key

if TYPE_CHECKING:
    from torch import Tensor

#: Bytes of adapters and gradients that the rows of a batch have, at most.
MAX_BYTES = 2**28


def row_gradients(
    net: Any, parameters: dict[str, Any], rows: list[Encoded], batches: Batches
) -> Tensor:
    """The gradient of every row's mean response loss: b D, fp32. None depends on its batch.

    Args:
        net: a model with LoRA adapters (peft), in evaluation mode.
        parameters: the adapters' parameters by name; their order is that of a gradient's numbers.
        rows: with a response token each.
    """
    import torch

    length = sum(p.numel() for p in parameters.values())
    gradients = torch.empty(len(rows), length, device=compute_device(net))
    # A row has a copy of the adapters, and its gradient.
    max_rows = max(1, MAX_BYTES // (8 * length))

    def differentiate(batch: list[int]) -> None:
        for start in range(0, len(batch), max_rows):
            part = batch[start : start + max_rows]
            with row_adapters(net, parameters, len(part)) as copies:
                loss = _response_losses(net, [rows[i] for i in part]).sum()
                by_parameter = torch.autograd.grad(loss, list(copies.values()))
            flat = [grad.flatten(1).to(gradients.device) for grad in by_parameter]
            gradients[part] = torch.cat(flat, dim=1).float()

    batches.run([len(row.ids) for row in rows], differentiate, length_key(net))
    return gradients


@contextmanager
def row_adapters(net: Any, parameters: dict[str, Any], rows: int) -> Generator[dict[str, Tensor]]:
    """Gives every row of a batch adapters of its own, equal to the model's: by name, b r d.

    The gradient of the sum of the rows' losses by them is then each row's own gradient, for one
    pass forward and one back.
    """
    copies = {n: p.detach().repeat(rows, 1, 1).requires_grad_() for n, p in parameters.items()}
    changed = []
    for name, layer in net.named_modules():
        if f"{name}.lora_A.default.weight" in copies:
            down = copies[f"{name}.lora_A.default.weight"]
            up = copies[f"{name}.lora_B.default.weight"]
            layer.forward = _adapted(layer.base_layer, down, up, layer.scaling["default"])
            changed.append(layer)
    try:
        yield copies
    finally:
        for layer in changed:
            del layer.forward  # the method of its class is found again


def _adapted(base: Any, down: Tensor, up: Tensor, scale: float) -> Callable[[Tensor], Tensor]:
    """A linear layer with an adapter per row: (b t d) → base + scale · (x downᵀ) upᵀ."""

    def forward(x: Tensor) -> Tensor:
        change = (x.to(down.dtype) @ down.mT) @ up.mT
        output = base(x)
        return output + (scale * change).to(output.dtype)

    return forward


def _response_losses(net: Any, rows: list[Encoded]) -> Tensor:
    """The mean loss of every row's response tokens (b, nats per token), to be differentiated."""
    import torch

    ids, response, _ = pad(rows, compute_device(net))
    predicted = response[:, 1:]
    first = int(predicted.any(0).int().argmax())
    kept = predicted.shape[1] - first + 1  # the last token predicts nothing
    # Causal attention and right padding: no real token attends to padding.
    logits = net(input_ids=ids, use_cache=False, logits_to_keep=kept).logits[:, :-1]
    predicted, targets = predicted[:, first:], ids[:, 1 + first :]
    nll = torch.zeros(predicted.shape, device=ids.device)
    nll[predicted] = torch.nn.functional.cross_entropy(
        logits[predicted].float(), targets[predicted], reduction="none"
    )
    return nll.sum(1) / predicted.sum(1)
