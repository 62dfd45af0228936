"""The rows that a reference is fitted on: which, in what order, and as tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from dataselect import report
from dataselect.compute.prefetch import batched
from dataselect.data import tables
from dataselect.errors import InputError
from dataselect.numerics.draws import shuffled_rows

if TYPE_CHECKING:
    from dataselect.models.chat import Chat, Encoded


def sample_rows(pool: Path, seed: int, most: int) -> np.ndarray:
    """At most so many row numbers (int64) of a pool, drawn by id and seed, in that order."""
    ids = pl.read_parquet(pool, columns=["id"])["id"].to_list()
    return shuffled_rows(ids, seed)[:most]


def encode_rows(pool: Path, chat: Chat, rows: np.ndarray) -> list[Encoded]:
    """The rows of these numbers as tokens, in this order, without those that have no response.

    Raises:
        InputError: none of them has a response token.
    """
    place = np.full(tables.row_count(pool), -1)
    place[rows] = np.arange(len(rows))
    found: list[Encoded | None] = [None] * len(rows)
    with report.progress("tokenise", len(rows)) as advance:
        for block in tables.iter_batches("pool", pool, 4_096, columns=["row", "messages"]):
            part = block.filter(place[block["row"].to_numpy()] >= 0)
            encoded = chat.encode(part["messages"].to_list())
            for row, one in zip(part["row"], encoded, strict=True):
                found[place[row]] = one if one.has_response else None
            advance(part.height)
    if len(rows) == 0:
        raise InputError(f"{pool}: there is no row to fit the reference on.")
    kept = [one for one in found if one is not None]
    if not kept:
        raise InputError(
            f"{pool}: none of the {len(rows)} rows that the reference is to be fitted on has a "
            f"response token within max_tokens ({chat.max_tokens}). Raise the method's "
            "`model.max_tokens`."
        )
    return kept


def read_examples(path: Path, chat: Chat) -> tuple[list[Encoded], int]:
    """Every row that has a response token, as tokens; and how many have none."""
    kept: list[Encoded] = []
    count = 0
    with report.progress("tokenise", None) as advance:
        for block in batched(_lines(path), 4_096):
            encoded = chat.encode([row["messages"] for row in block])
            kept += [row for row in encoded if row.has_response]
            count += len(block)
            advance(len(block))
    if not kept:
        raise InputError(
            f"{path}: none of the {count} rows has a response token within max_tokens "
            f"({chat.max_tokens}). Raise `model.max_tokens` in params.yaml."
        )
    return kept, count - len(kept)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)
