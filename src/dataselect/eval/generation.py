"""How outputs are generated: padding, where they end, and their text."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def generate(
    net: Any, tokenizer: Any, prompts: Tensor, stop: list[str], ends: list[int], **settings: Any
) -> Tensor:
    """Prompts and outputs as token ids (int64, b t).

    lm-eval's own would neither end a row at the tokenizer's eos, where the model's settings do not
    name it, nor in any case pad with a token that the model has.

    Args:
        prompts: token ids (int64, b t), padded on the left.
        stop: texts at which an output ends.
        ends: tokens at which it does.
        settings: of transformers' generation.
    """
    from lm_eval.models.utils_hf import stop_sequences_criteria

    return net.generate(
        prompts,
        stopping_criteria=stop_sequences_criteria(tokenizer, stop, *prompts.shape[::-1]),
        eos_token_id=ends or None,
        pad_token_id=padding_token(ends),
        use_cache=True,
        **settings,
    )


def padding_token(ends: list[int]) -> int:
    """A token to pad with: it is not attended to, and cut off behind an end."""
    return ends[0] if ends else 0


def end_tokens(net: PreTrainedModel, tokenizer: Any) -> list[int]:
    """The tokens at which an output ends: the tokenizer's eos first, and those that the model has.

    Chat models have several, as Llama 3's; and base models may lack that of a chat format.
    """
    own: Any = net.generation_config.eos_token_id if net.generation_config else None
    listed = [tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])]
    return list(dict.fromkeys(number for number in listed if isinstance(number, int)))


def up_to_end(ids: list[int], ends: list[int]) -> list[int]:
    """The tokens before the first at which an output ends."""
    return list(takewhile(lambda number: number not in ends, ids))


def decode_output(tokenizer: Any, ids: list[int], skip_special_tokens: bool = True) -> str:
    """The text of tokens that follow others.

    Some tokenizers leave out a space where a text begins: code would lose a part of its indent.
    """
    before = tokenizer.encode("a", add_special_tokens=False)
    start, text = (
        tokenizer.decode(tokens, skip_special_tokens=skip_special_tokens)
        for tokens in (before, before + list(ids))
    )
    if text.startswith(start):
        return text[len(start) :]
    return tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)


def pad_left(rows: list[list[int]], padding: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask (int64, b t), padded on the left."""
    import torch

    width = max(map(len, rows))
    ids = [[padding] * (width - len(row)) + row for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)
