"""Rows to fit on, as tokens: of a JSON-lines file, or of the pool by number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from dataselect import report
from dataselect.compute.prefetch import batched
from dataselect.data import tables
from dataselect.data.examples import conversations
from dataselect.data.tool_use import conversation
from dataselect.errors import InputError
from dataselect.numerics.draws import shuffled_rows

if TYPE_CHECKING:
    from dataselect.data.tables import Message
    from dataselect.models.chat import Chat, Encoded

ROWS_PER_BLOCK = 4_096

#: The columns of the pool that are read; `tool_use` where it is there.
COLUMNS = ["row", "messages", "tool_use"]


def sample_rows(pool: Path, seed: int, limit: int, name: str) -> np.ndarray:
    """A random sample of at most `limit` row numbers (int64), in random order, drawn by id.

    Args:
        name: of the draw; no other draw has it.
    """
    ids = pl.read_parquet(pool, columns=["id"])["id"].to_list()
    return shuffled_rows(ids, seed, name)[:limit]


def encode_rows(pool: Path, chat: Chat, rows: np.ndarray) -> list[Encoded]:
    """The pool's rows with these numbers as tokens, without those that have no response token.

    Args:
        rows: distinct row numbers (int64), in the order of the result.

    Raises:
        InputError: no row is given, or none has a response token.
    """
    if len(rows) == 0:
        raise InputError(f"{pool}: there is no row to fit the reference on.")
    encoded = _encode_blocks(_pool_blocks(pool, rows), chat, len(rows))
    kept = [encoded[row] for row in rows.tolist() if encoded[row].has_response]
    if not kept:
        raise InputError(
            f"{pool}: none of the {len(rows)} rows that the reference is to be fitted on has a "
            f"response token within max_tokens ({chat.max_tokens}). Raise the method's "
            "`model.max_tokens`."
        )
    return kept


def encode_file(path: Path, chat: Chat) -> tuple[list[Encoded], int]:
    """The rows of a JSON-lines file that have a response token, and how many have none.

    Raises:
        InputError: none has one.
    """
    encoded = _encode_blocks(_file_blocks(path), chat, None)
    kept = [row for row in encoded.values() if row.has_response]
    if not kept:
        raise InputError(
            f"{path}: none of the {len(encoded)} rows has a response token within max_tokens "
            f"({chat.max_tokens}). Raise `model.max_tokens` in params.yaml."
        )
    return kept, len(encoded) - len(kept)


#: Row numbers, and the conversation of each.
Block = tuple[Sequence[int], list["list[Message]"]]


def _encode_blocks(blocks: Iterable[Block], chat: Chat, total: int | None) -> dict[int, Encoded]:
    """Every row as tokens, by its number, in the order of the blocks.

    Args:
        total: the number of rows, if known, for the progress bar.
    """
    encoded: dict[int, Encoded] = {}
    with report.progress("tokenise", total) as progress:
        for numbers, messages in blocks:
            encoded.update(zip(numbers, chat.encode(messages), strict=True))
            progress(len(messages))
    return encoded


def _pool_blocks(pool: Path, rows: np.ndarray) -> Iterator[Block]:
    """The wanted rows of the pool, in the pool's order."""
    is_wanted = np.zeros(tables.row_count(pool), dtype=bool)
    is_wanted[rows] = True
    for block in tables.iter_batches("pool", pool, ROWS_PER_BLOCK, COLUMNS):
        wanted = block.filter(is_wanted[block["row"].to_numpy()])
        yield wanted["row"].to_list(), conversations(wanted)


def _file_blocks(path: Path) -> Iterator[Block]:
    """The rows of a JSON-lines file, numbered by line."""
    numbers = count()
    with path.open(encoding="utf-8") as file:
        for lines in batched(file, ROWS_PER_BLOCK):
            records = [json.loads(line) for line in lines]
            rows = [conversation(row["messages"], row.get("tools")) for row in records]
            yield [next(numbers) for _ in lines], rows
