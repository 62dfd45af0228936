"""Raw files → the pool: one row per conversation, no exact duplicates, a reason for every drop."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from dataselect import report
from dataselect.compute.prefetch import batched, prefetch
from dataselect.data import tables
from dataselect.data.tables import Message
from dataselect.dedup.conversations import (
    BadRow,
    duplicate_key,
    parse_messages,
    reason_to_drop,
    text_field,
)
from dataselect.dedup.read import RawRow, read_rows
from dataselect.errors import InputError, first_few
from dataselect.report import Progress

#: Conversations → of each, whether `max_tokens` leaves nothing of its first response; or, as text,
#: why the model cannot read it at all.
Truncation = Callable[[list[list[Message]]], list[bool | str]]

#: Rows that are written together: some tens of MB.
ROWS_PER_BLOCK = 8_192

#: The pool before its duplicates are removed: every row read, kept or (with a reason) not.
RAW_SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "messages": tables.MESSAGES,
    "key": pl.String,
    "place": pl.String,
    "reason": pl.String,
    "detail": pl.String,
}


@dataclass
class PoolRow:
    """A row of `RAW_SCHEMA`."""

    id: str
    source: str
    messages: list[Message] | None
    key: str | None
    place: str
    reason: str | None
    detail: str | None = None


@dataclass(frozen=True)
class PoolCounts:
    """Rows by what became of them: read, kept, and dropped by reason."""

    read: int
    kept: int
    dropped: dict[str, int]


def write_pool(
    paths: list[str],
    folder: Path,
    *,
    on_bad_row: Literal["error", "drop"],
    truncation: Truncation,
    progress: Progress,
) -> PoolCounts:
    """Writes `pool.parquet` and `dropped.parquet` into a folder.

    Of rows with the same `duplicate_key` the first is kept. Memory does not grow with the pool:
    rows stream through a file on disk, and DuckDB finds the duplicates, spilling where it must.

    Args:
        paths: the raw files, in order.
        on_bad_row: `error` ends the run at the first row that cannot be understood; `drop` puts
            it among the dropped.
        progress: called after every block of rows read.

    Raises:
        InputError: a bad row (unless dropped), two rows with one id, or no row is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".dedup-") as scratch:
        raw = Path(scratch) / "read.parquet"
        _write_raw(paths, raw, on_bad_row, truncation, progress)
        return _write_tables(raw, folder)


def _write_raw(
    paths: list[str],
    raw: Path,
    on_bad_row: Literal["error", "drop"],
    truncation: Truncation,
    progress: Progress,
) -> None:
    """Writes every row of the files in `RAW_SCHEMA`."""
    import pyarrow.parquet as pq

    oldest = pl.CompatLevel.oldest()

    def blocks() -> Iterator[Any]:
        for block in batched(read_rows(paths), ROWS_PER_BLOCK):
            rows = [_parse_row(row, on_bad_row) for row in block]
            _mark_truncated(rows, truncation)
            columns = {name: [getattr(row, name) for row in rows] for name in RAW_SCHEMA}
            yield pl.DataFrame(columns, schema=RAW_SCHEMA).to_arrow(compat_level=oldest)

    schema = pl.DataFrame(schema=RAW_SCHEMA).to_arrow(compat_level=oldest).schema
    with pq.ParquetWriter(raw, schema, compression="lz4") as writer:
        # A thread reads the next rows while these are packed and written.
        for table in prefetch(blocks()):
            writer.write_table(table)
            progress(table.num_rows)


def _parse_row(raw: RawRow, on_bad_row: Literal["error", "drop"]) -> PoolRow:
    name, source = None, raw.stem
    try:
        if isinstance(raw.record, BadRow):
            raise raw.record
        name = text_field(raw.record, "id")
        source = text_field(raw.record, "source", "dataset") or source
        turns = parse_messages(raw.record)
    except BadRow as error:
        if on_bad_row == "error":
            raise InputError(
                f"{raw.place}: {error}. Fix the row, or set `pool.on_bad_row: drop` in "
                "params.yaml to leave such rows out."
            ) from None
        return PoolRow(name or raw.place, source, None, None, raw.place, "bad row", str(error))
    key = duplicate_key(turns)
    return PoolRow(name or key[:20], source, turns, key, raw.place, reason_to_drop(turns))


def _mark_truncated(rows: list[PoolRow], truncation: Truncation) -> None:
    """Sets the reason of rows of whose response the model would see nothing."""
    kept = [row for row in rows if row.reason is None]
    truncated = truncation([row.messages or [] for row in kept])
    for row, reason in zip(kept, truncated, strict=True):
        if reason:
            row.reason = (
                reason if isinstance(reason, str) else "response entirely cut off by max_tokens"
            )


def _write_tables(raw: Path, folder: Path) -> PoolCounts:
    import duckdb

    db = duckdb.connect(config={"temp_directory": str(raw.parent), "memory_limit": "2GB"})
    db.execute("SET enable_progress_bar = false")
    # seq, a row's number in the file, says which of several equal rows is the first.
    db.execute(f"CREATE VIEW read AS SELECT *, file_row_number AS seq FROM "
               f"read_parquet('{_quoted(raw)}', file_row_number = true)")  # fmt: skip
    with report.spinner("finding duplicates"):
        db.execute("CREATE TABLE kept AS SELECT key, min(seq) AS seq FROM read "
                   "WHERE reason IS NULL GROUP BY key")  # fmt: skip
        _check_ids(db)
        db.execute(f"CREATE TABLE dropped AS {_DROPPED}")
    dropped = dict(db.execute(_DROP_COUNTS).fetchall())
    if not db.execute("SELECT key FROM kept LIMIT 1").fetchall():
        counts = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise InputError(
            f"pool.path: no row is left. Dropped: {counts or 'nothing was read'}. Check the rows "
            "of the files."
        )
    with report.spinner("writing the pool"):
        kept = _write_kept(raw, _kept(db, tables.row_count(raw)), folder / "pool.parquet")
        _write_dropped(db, folder / "dropped.parquet")
    return PoolCounts(kept + sum(dropped.values()), kept, dropped)


_DROPPED = """
SELECT read.seq, read.id, read.source, read.place,
       coalesce(read.reason, 'duplicate') AS reason,
       CASE WHEN read.reason IS NULL THEN first.id ELSE read.detail END AS detail
FROM read LEFT JOIN kept ON kept.key = read.key
LEFT JOIN (SELECT seq, id FROM read) first ON first.seq = kept.seq
WHERE read.reason IS NOT NULL OR read.seq <> kept.seq"""

_DROP_COUNTS = """
SELECT reason, count(*) FROM dropped GROUP BY reason ORDER BY reason"""


def _check_ids(db: Any) -> None:
    """Refuses different conversations with one id: a selection could not say which was chosen."""
    # Places are listed for these ids only: for every id they would fill the memory.
    db.execute("""CREATE TABLE twice AS SELECT id FROM read SEMI JOIN kept USING (seq)
                  GROUP BY id HAVING count(*) > 1""")
    found = db.execute("""SELECT id, list(place ORDER BY seq) FROM read SEMI JOIN kept USING (seq)
                          SEMI JOIN twice USING (id) GROUP BY id ORDER BY min(seq)""").fetchall()
    if found:
        named = first_few(f"`{name}` at {first_few(places, 2)}" for name, places in found)
        raise InputError(
            f"pool.path: {len(found)} ids belong to several different rows: {named}. Expected one "
            "id per row. Give each its own, or leave `id` out: it is then made from the content."
        )


def _kept(db: Any, row_count: int) -> np.ndarray:
    """Which rows of the raw file are kept (bool, n)."""
    kept = np.zeros(row_count, dtype=bool)
    for batch in db.sql("SELECT seq FROM kept").to_arrow_reader(65_536):
        kept[batch.column(0).to_numpy()] = True
    return kept


def _write_kept(raw: Path, kept: np.ndarray, path: Path) -> int:
    """Writes the rows that are kept, numbered, in the file's order; returns their number."""
    seen = rows = 0
    with tables.open_writer("pool", path) as put:
        columns = ["id", "source", "messages"]
        for block in prefetch(tables.iter_batches("pool", raw, ROWS_PER_BLOCK, columns)):
            part = block.filter(pl.Series(kept[seen : seen + block.height]))
            put(part.insert_column(0, pl.Series("row", range(rows, rows + part.height), pl.Int64)))
            seen += block.height
            rows += part.height
    return rows


def _write_dropped(db: Any, path: Path) -> None:
    query = "SELECT id, source, reason, detail, place FROM dropped ORDER BY seq"
    with tables.open_writer("dropped", path) as put:
        for batch in db.sql(query).to_arrow_reader(65_536):
            put(pl.DataFrame(pl.from_arrow(batch)).cast(tables.schema("dropped")))  # ty: ignore


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
