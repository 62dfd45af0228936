"""The memory of a scorer that sees the pool as a whole, before it reads the pool."""

from __future__ import annotations

from pathlib import Path

from dataselect import report
from dataselect.data import shards
from dataselect.errors import InputError
from dataselect.machine import machine_memory
from dataselect.score import PoolScorer

#: Bytes of a row's id, as a text of Python's, and of its score; and of the program itself.
ROW_BYTES, PROGRAM_BYTES = 120, 200e6


def needed_bytes(scorer: PoolScorer, row_bytes: int, rows: int) -> float:
    """The bytes that a scorer takes at its peak.

    Args:
        row_bytes: the bytes of what it reads of a row, as 4-byte numbers.
        rows: of the pool.
    """
    return PROGRAM_BYTES + rows * (scorer.copies * row_bytes + ROW_BYTES)


def _row_bytes(scorer: PoolScorer, features: Path) -> int:
    """The bytes of what it reads of a row, by the arrays of the first shard in a folder."""
    paths = shards.shard_paths(features)[:1] if scorer.inputs else []
    arrays = [array for path in paths for array in shards.read_arrays(path, scorer.inputs).values()]
    return 4 * sum(array[:1].size for array in arrays)


def check_memory(name: str, scorer: PoolScorer, features: Path, rows: int) -> None:
    """Checks that a scorer's arrays fit into memory.

    Raises:
        InputError: they do not.
    """
    needed = needed_bytes(scorer, _row_bytes(scorer, features), rows)
    available = machine_memory()
    if needed > available:
        raise InputError(
            f"the scorer `{name}` holds what it reads of all {rows:,} rows: expected at least "
            f"{report.format_bytes(round(needed))} of memory, found "
            f"{report.format_bytes(round(available))}. Raise the limit, take a smaller pool "
            "(`pool.where` leaves rows out), measure rows with a model of a smaller hidden size "
            "(`selector_model`), or choose a method that scores every row by itself, like `rds`."
        )
