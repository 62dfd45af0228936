"""How many tokens rows of the pool have in training."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from dataselect.data.examples import conversations
from dataselect.data.schemas import TOOL_USE

if TYPE_CHECKING:
    from dataselect.models.chat import Chat
    from dataselect.models.settings import TokenizerSettings

#: Rows that are tokenised at a time.
ROWS_PER_BLOCK = 1_024


class TokenCounts:
    """Counts the tokens of rows as training encodes them: in the chat format, up to `max_tokens`.

    Args:
        pool: the pool's table.
        model: the tokenizer of the model that is trained; it is loaded with the first rows.

    Attributes:
        known: row number → tokens, of the rows that were counted.
    """

    def __init__(self, pool: Path, model: TokenizerSettings) -> None:
        self._pool, self._model = pool, model
        self.known: dict[int, int] = {}

    def count(self, rows: list[int]) -> None:
        """Counts the tokens of rows by number, in one pass over the pool.

        Raises:
            InputError: the tokenizer cannot be loaded, or lacks something.
        """
        wanted = pl.scan_parquet(self._pool, glob=False).filter(pl.col("row").is_in(rows))
        columns = [
            name for name in ("row", "messages", *TOOL_USE) if name in wanted.collect_schema()
        ]
        found = wanted.select(columns).collect()
        for block in found.iter_slices(ROWS_PER_BLOCK):
            encoded = self._chat.encode(conversations(block))
            lengths = [len(row.ids) for row in encoded]
            self.known.update(zip(block["row"].to_list(), lengths, strict=True))

    @cached_property
    def _chat(self) -> Chat:
        from dataselect.models.chat import load_chat

        return load_chat(self._model)
