"""Raw files → the pool: one row a conversation, no exact duplicates, a reason for every drop."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

#: Says of each conversation whether `max_tokens` leaves nothing of its first response, or, in
#: words, why the model cannot read it at all.
Truncation = Callable[[list[list[Message]]], list[bool | str]]

#: Rows that are written together: some tens of MB.
BLOCK = 8_192

#: The pool before its duplicates are gone: every row read, kept or (with a reason) not.
RAW_SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "messages": tables.MESSAGES,
    "key": pl.String,
    "place": pl.String,
    "reason": pl.String,
}


def write_pool(
    files: list[str],
    folder: Path,
    *,
    on_bad_row: str,
    cut_off: Truncation,
    advance: Callable[[int], None] = lambda rows: None,
) -> dict[str, int]:
    """Writes `pool.parquet` and `dropped.parquet` into a folder.

    Of rows with the same key (see `key`) the first stays. Memory does not grow with the pool:
    rows stream through a file on disk, and DuckDB finds the duplicates, spilling where it must.

    Args:
        on_bad_row: `error` ends the run at the first row that cannot be understood; `drop` puts
            it among the dropped.
        cut_off: see `CutOff`.
        advance: is told of every block of rows read.

    Returns:
        Rows by what became of them: `read`, `kept`, and each reason for a drop.

    Raises:
        InputError: a bad row (unless dropped), two rows with one id, or no row left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".dedup-") as scratch:
        read = Path(scratch) / "read.parquet"
        _write_read(files, read, on_bad_row, cut_off, advance)
        return _write_tables(read, folder)


def _write_read(
    files: list[str],
    path: Path,
    on_bad_row: str,
    cut_off: Truncation,
    advance: Callable[[int], None],
) -> None:
    import pyarrow.parquet as pq

    def understood(block: list[RawRow]) -> Any:
        rows = [_row(raw, on_bad_row) for raw in block]
        _mark_cut_off(rows, cut_off)
        frame = pl.DataFrame(rows, schema=RAW_SCHEMA, orient="row")
        return frame.to_arrow(compat_level=pl.CompatLevel.oldest())

    schema = pl.DataFrame(schema=RAW_SCHEMA).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        # A thread reads the next rows while these are packed and written.
        for table in prefetch(understood(block) for block in batched(read_rows(files), 8_192)):
            writer.write_table(table)
            advance(table.num_rows)


def _row(raw: RawRow, on_bad_row: str) -> list[Any]:
    """A row in the order of READ."""
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
                f"{raw.place}: {error}. Mend the row, or set `pool.on_bad_row: drop` in "
                "params.yaml to leave such rows out."
            ) from None
        return [name or raw.place, source, None, None, raw.place, f"bad row: {error}"]
    content = duplicate_key(turns)
    return [name or content[:20], source, turns, content, raw.place, reason_to_drop(turns)]


def _mark_cut_off(rows: list[list[Any]], cut_off: Truncation) -> None:
    usable = [row for row in rows if row[5] is None]
    for row, cut in zip(usable, cut_off([row[2] for row in usable]), strict=True):
        if cut:
            row[5] = cut if isinstance(cut, str) else "response entirely cut off by max_tokens"


def _write_tables(read: Path, folder: Path) -> dict[str, int]:
    import duckdb

    db = duckdb.connect(config={"temp_directory": str(read.parent), "memory_limit": "2GB"})
    db.execute("SET enable_progress_bar = false")
    # The number of a row in the file, by which the first of equals is told.
    db.execute(f"CREATE VIEW read AS SELECT *, file_row_number AS seq FROM "
               f"read_parquet('{_quoted(read)}', file_row_number = true)")  # fmt: skip
    with report.spinner("finding duplicates"):
        db.execute("CREATE TABLE kept AS SELECT key, min(seq) AS seq FROM read "
                   "WHERE reason IS NULL GROUP BY key")  # fmt: skip
        _check_ids(db)
        db.execute(f"CREATE TABLE dropped AS {_DROPPED}")
    if not db.execute("SELECT key FROM kept LIMIT 1").fetchall():
        raise InputError(
            f"pool.path: no row is left. {_drop_counts(db)}. Look at the rows of the files."
        )
    with report.spinner("writing the pool"):
        rows = _write_pool(read, _kept(db, tables.row_count(read)), folder / "pool.parquet")
        _copy(db, _LIST, "dropped", folder / "dropped.parquet")
    counts = dict(db.execute(_COUNTS).fetchall())
    return {"read": rows + sum(counts.values()), "kept": rows, **counts}


_DROPPED = """
SELECT read.seq, read.id, read.source, read.place,
       coalesce(read.reason, 'duplicate of ' || first.id) AS reason
FROM read LEFT JOIN kept ON kept.key = read.key
LEFT JOIN (SELECT seq, id FROM read) first ON first.seq = kept.seq
WHERE read.reason IS NOT NULL OR read.seq <> kept.seq"""

_LIST = "SELECT id, source, reason, place FROM dropped ORDER BY seq"

_COUNTS = """
SELECT CASE WHEN reason LIKE 'duplicate of %' THEN 'duplicate'
            WHEN reason LIKE 'bad row: %' THEN 'bad row' ELSE reason END AS why, count(*)
FROM dropped GROUP BY why ORDER BY why"""


def _drop_counts(db: Any) -> str:
    counts = db.execute(_COUNTS).fetchall()
    return "Dropped: " + (", ".join(f"{n} {why}" for why, n in counts) or "nothing was read")


def _check_ids(db: Any) -> None:
    """Different conversations under one id: nobody could tell which was chosen."""
    # Lists only of those: a list for every id would be the pool's places again, in memory.
    db.execute("""CREATE TABLE twice AS SELECT id FROM read SEMI JOIN kept USING (seq)
                  GROUP BY id HAVING count(*) > 1""")
    found = db.execute("""SELECT id, list(place ORDER BY seq) FROM read SEMI JOIN kept USING (seq)
                          SEMI JOIN twice USING (id) GROUP BY id ORDER BY min(seq)""").fetchall()
    if found:
        named = first_few(f"`{name}` at {first_few(places, 2)}" for name, places in found)
        raise InputError(
            f"pool.path: {len(found)} ids belong to several different rows: {named}. Expected one "
            "id a row. Give each its own, or leave `id` out: it is then made from the content."
        )


def _kept(db: Any, rows: int) -> np.ndarray:
    """Which rows of the file stay (bool, n)."""
    kept = np.zeros(rows, dtype=bool)
    for batch in db.sql("SELECT seq FROM kept").to_arrow_reader(65_536):
        kept[batch.column(0).to_numpy()] = True
    return kept


def _write_pool(read: Path, kept: np.ndarray, path: Path) -> int:
    """Writes the rows that stay, numbered, in the file's order; how many they are."""
    seen = rows = 0
    with tables.open_writer("pool", path) as put:
        columns = ["id", "source", "messages"]
        for block in prefetch(tables.iter_batches("pool", read, BLOCK, columns)):
            mine = block.filter(pl.Series(kept[seen : seen + block.height]))
            put(mine.insert_column(0, pl.Series("row", range(rows, rows + mine.height), pl.Int64)))
            seen += block.height
            rows += mine.height
    return rows


def _copy(db: Any, query: str, name: str, path: Path) -> int:
    rows = 0
    with tables.open_writer(name, path) as put:
        for batch in db.sql(query).to_arrow_reader(65_536):
            frame = pl.DataFrame(pl.from_arrow(batch)).cast(tables.SCHEMAS[name])  # ty: ignore
            put(frame)
            rows += frame.height
    return rows


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
