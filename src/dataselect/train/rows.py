"""Rows to fit on, as tokens in files: of a JSON-lines file, or of the pool by number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
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
from dataselect.train.token_files import TokenRows, stored_rows

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
    # As a list they would take thrice as much.
    ids = pl.read_parquet(pool, columns=["id"], glob=False)["id"]
    return shuffled_rows(ids, seed, name)[:limit]


def encode_rows(pool: Path, chat: Chat, rows: np.ndarray, folder: Path) -> TokenRows:
    """The pool's rows with these numbers as tokens, without those that have no response token.

    Args:
        rows: distinct row numbers (int64), in the order of the result.
        folder: for the tokens; where they are there already, they are read.

    Raises:
        InputError: no row is given, or none has a response token.
    """
    if len(rows) == 0:
        raise InputError(f"{pool}: there is no row to fit the reference on.")
    blocks = partial(_encoded, partial(_pool_blocks, pool, rows), chat, len(rows))
    encoded = stored_rows(folder, blocks, np.argsort(rows))
    if not len(encoded):
        encoded.remove()
        raise InputError(
            f"{pool}: none of the {len(rows)} rows that the reference is to be fitted on has a "
            f"response token within max_tokens ({chat.max_tokens}). Raise the method's "
            "`model.max_tokens`."
        )
    return encoded


def encode_file(path: Path, chat: Chat, folder: Path) -> TokenRows:
    """The rows of a JSON-lines file that have a response token.

    Args:
        folder: for the tokens; where they are there already, they are read.

    Raises:
        InputError: none has one.
    """
    encoded = stored_rows(folder, partial(_encoded, partial(_file_blocks, path), chat, None))
    if not len(encoded):
        encoded.remove()
        raise InputError(
            f"{path}: none of the {encoded.dropped} rows has a response token within max_tokens "
            f"({chat.max_tokens}). Raise `model.max_tokens` in params.yaml."
        )
    return encoded


#: The conversations of some rows.
Block = list["list[Message]"]


def _encoded(
    blocks: Callable[[], Iterable[Block]], chat: Chat, total: int | None
) -> Iterator[list[Encoded]]:
    """Every row as tokens, in the order of the blocks.

    Args:
        total: the number of rows, if known, for the progress bar.
    """
    with report.progress("tokenise", total) as progress:
        for block in blocks():
            yield chat.encode(block)
            progress(len(block))


def _pool_blocks(pool: Path, rows: np.ndarray) -> Iterator[Block]:
    """The wanted rows of the pool, in the pool's order."""
    is_wanted = np.zeros(tables.row_count(pool), dtype=bool)
    is_wanted[rows] = True
    for block in tables.iter_batches("pool", pool, ROWS_PER_BLOCK, COLUMNS):
        wanted = block.filter(is_wanted[block["row"].to_numpy()])
        yield conversations(wanted)


def _file_blocks(path: Path) -> Iterator[Block]:
    """The rows of a JSON-lines file."""
    with path.open(encoding="utf-8") as file:
        for lines in batched(file, ROWS_PER_BLOCK):
            records = [json.loads(line) for line in lines]
            yield [conversation(row["messages"], row.get("tools")) for row in records]
