"""The training file: the chosen rows in the order of training, in memory that does not grow."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs

from dataselect.compute.prefetch import prefetch
from dataselect.data import files, tables
from dataselect.data.examples import conversations
from dataselect.data.schemas import TOOL_USE
from dataselect.data.tool_use import ToolConversation

#: Rows of the pool that are read at a time; the chosen ones of them are Python objects.
ROWS_PER_BLOCK = 4_096


def write_training_file(pool: Path, rows: np.ndarray, order: np.ndarray, path: Path) -> None:
    """Writes rows of the pool, a line each; kept columns at the lines' end.

    The pool is read once, front to back. The lines wait in a temporary file without a name, beside
    the training file and as large, until all are there and can be copied in their order.

    Args:
        rows: the numbers of the chosen rows (int64, n), each once.
        order: of every line of the file, its place in `rows` (int64).
    """
    place = np.full(tables.row_count(pool), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    starts, sizes = np.zeros_like(rows), np.zeros_like(rows)
    with (
        tempfile.TemporaryFile(dir=path.parent) as store,
        files.atomic_write(path) as temporary,
        temporary.open("wb") as file,
    ):
        for block in prefetch(tables.iter_batches("pool", pool, ROWS_PER_BLOCK)):
            places = place[block["row"].to_numpy()]
            chosen = block.filter(places >= 0)
            for number, line in zip(places[places >= 0], _lines(chosen), strict=True):
                starts[number], sizes[number] = store.tell(), len(line)
                store.write(line)
        store.flush()
        for start, size in zip(starts[order].tolist(), sizes[order].tolist(), strict=True):
            file.write(os.pread(store.fileno(), size, start))


def _lines(rows: pl.DataFrame) -> Iterator[bytes]:
    """A line of JSON for every row."""
    # JSON has no NaN and no infinity.
    finite = pl.when(cs.float().is_finite()).then(cs.float()).name.keep()
    columns = rows.select("id", "source", *kept_columns(rows.columns)).with_columns(finite)
    named = columns.iter_rows(named=True)
    for row, turns in zip(named, conversations(rows), strict=True):
        line = {"id": row.pop("id"), "source": row.pop("source"), "messages": turns}
        if isinstance(turns, ToolConversation) and turns.tools:
            line["tools"] = turns.tools
        yield (json.dumps(line | row, ensure_ascii=False) + "\n").encode("utf-8")


def kept_columns(columns: list[str]) -> list[str]:
    """The columns of a pool that `pool.keep` names: those that no table of ours has."""
    ours = {*tables.schema("pool"), *tables.schema("selection"), *TOOL_USE}
    return [name for name in columns if name not in ours]
