"""Packed training: the rows of a micro-batch one behind the other, instead of padded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dataselect.errors import InputError
from dataselect.models.rows_apart import TOLERANCE, keeps_rows_apart, short_rows

if TYPE_CHECKING:
    from torch import Tensor

    from dataselect.train.fit import Recipe


def check_packed(recipe: Recipe, where: str) -> None:
    """Checks that a recipe has something to pack.

    Raises:
        InputError: `packed` with micro-batches of one row.
    """
    if recipe.packed and recipe.micro_batch_size == 1:
        raise InputError(
            f"{where}.packed: true: has no effect with `micro_batch_size: 1`: the rows of a "
            "micro-batch are packed. Raise `micro_batch_size`, or remove `packed`."
        )


def packing_collator() -> Any:
    """What makes a micro-batch of rows: their tokens in one row, each with positions from 0 on.

    There is no attention mask: from the positions transformers sees where a row begins, and makes
    the mask, or the lengths, that the attention kernel needs. A row's first token has no label, so
    that no row is predicted from the one before.
    """
    from transformers import DataCollatorWithFlattening

    return DataCollatorWithFlattening()


def check_rows_apart(net: Any, recipe: Recipe) -> None:
    """Checks on this model, with its attention on this device, that no packed row sees another.

    Three short rows get the same logits packed as alone, whatever the others are.

    Args:
        net: a causal language model, in evaluation mode.

    Raises:
        InputError: a row sees another, or the model takes no positions.
    """
    import torch

    from dataselect.train.nets import computes_in_bfloat16

    in_bfloat16 = computes_in_bfloat16(recipe)
    tolerance = TOLERANCE["bfloat16" if in_bfloat16 else "float32"]
    tokens = net.get_input_embeddings().num_embeddings
    with torch.no_grad(), torch.autocast(net.device.type, torch.bfloat16, enabled=in_bfloat16):
        try:
            singles = [_logits(net, [row])[0] for row in short_rows(tokens)]
            apart = keeps_rows_apart(partial(_logits, net), singles, tokens, tolerance)
        except (TypeError, ValueError) as error:
            raise InputError(_message(net)) from error
    if not apart:
        raise InputError(_message(net))


def _logits(net: Any, rows: list[list[int]]) -> list[Tensor]:
    """The logits of each row, computed together as training does."""
    batch = packing_collator()([{"input_ids": row, "labels": row} for row in rows])
    inputs = {name: batch[name].to(net.device) for name in ("input_ids", "position_ids")}
    logits = net(**inputs, use_cache=False).logits[0].float()
    return list(logits.split([len(row) for row in rows]))


def _message(net: Any) -> str:
    kind = net.config.model_type
    attention = net.config._attn_implementation
    return (
        f"train.packed: true: expected a model that keeps packed rows apart; found that in this "
        f"one ({kind}, with the attention `{attention}`) a row sees the rows beside it. Set "
        "`train.packed: false`."
    )
