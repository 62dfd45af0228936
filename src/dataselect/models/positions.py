"""How many tokens a model can read, and how many it has learned positions for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dataselect.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Names that configurations have for the length of their context.
NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len")

#: Types of language models with a table of positions, and its length where config.json has none.
#: Others (rotary, ALiBi, computed sinusoids) read a text of any length.
TABLE_LENGTHS = {
    "biogpt": 1024,
    "codegen": 2048,
    "ctrl": 256,
    "gpt2": 1024,
    "gpt_bigcode": 1024,
    "gpt_neo": 2048,
    "gptj": 2048,
    "openai-gpt": 512,
    "opt": 2048,
}

#: The tables' names in models of transformers.
TABLES = ("wpe", "embed_positions", "position_embeddings", "positions_embed")


def learned_positions(config: Mapping[str, Any]) -> int | None:
    """The number of positions in a model's table, from its config.json; None without a table."""
    length = TABLE_LENGTHS.get(str(config.get("model_type")))
    if length is None:
        return None
    found = (config.get(name) for name in ("max_position_embeddings", "n_positions"))
    return next((number for number in found if isinstance(number, int)), length)


def table_length(net: PreTrainedModel) -> int | None:
    """The number of positions in a loaded model's table; None without a table."""
    lengths = [
        int(tensor.shape[0])
        for name, tensor in net.named_buffers()
        if name.rsplit(".", 1)[-1] in TABLES and tensor.ndim == 2
    ]
    for name, module in net.named_modules():
        if name.rsplit(".", 1)[-1] in TABLES and hasattr(module, "num_embeddings"):
            padding = module.padding_idx  # BERT's heirs count from behind it
            skipped = getattr(module, "offset", 0) or (0 if padding is None else padding + 1)
            lengths.append(int(module.num_embeddings) - int(skipped))
    return min(lengths, default=None)


def check_positions(positions: int | None, max_tokens: int, name: str, where: str) -> None:
    """Checks that a model has a position for every token of a text.

    Args:
        positions: how many it has learned; None: no limit.
        name: the model's, for the message.
        where: the block of settings that `max_tokens` is in, for the message.

    Raises:
        InputError: `max_tokens` is above the positions.
    """
    if positions is not None and max_tokens > positions:
        raise InputError(
            f"{where}.max_tokens: expected at most {positions}, the number of positions that "
            f"`{name}` has learned; found {max_tokens}. Set it to {positions}."
        )


def context_length(config: Any) -> int | None:
    """The most tokens that a model can read at once: prompt and output together.

    Args:
        config: a transformers configuration, or the content of a `config.json`; of a model for
            text and more, the part for text counts.

    Returns:
        None where the configuration does not say, as of models without positions.
    """

    def value(settings: Any, name: str) -> Any:
        is_mapping = isinstance(settings, Mapping)
        return settings.get(name) if is_mapping else getattr(settings, name, None)

    for settings in (value(config, "text_config"), config):
        for name in NAMES:
            length = value(settings, name)
            if isinstance(length, int) and length > 0:
                return length
    return None
