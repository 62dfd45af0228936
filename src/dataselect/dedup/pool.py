"""The raw rows → the pool: steps that each leave rows out, with a reason for every one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from dataselect import report
from dataselect.compute.prefetch import prefetch
from dataselect.data import tables
from dataselect.data.schemas import TOOL_USE
from dataselect.dedup.kept_columns import column_types, unpack
from dataselect.dedup.raw import ROWS_PER_BLOCK
from dataselect.errors import InputError, first_few
from dataselect.machine import machine_memory

#: Bytes of memory of DuckDB, at most and unless the process may use less than twice as many; the
#: rest goes to temporary files.
MEMORY = 2 * 10**9


@dataclass(frozen=True)
class NearDuplicateCounts:
    """What the step of near-duplicates found.

    Attributes:
        rows: near-duplicates of a row that stands before them.
        groups: rows that have near-duplicates behind them.
        limited: groups of rows that were compared with their first only: see `similar_rows`.
        dropped: whether the rows were left out.
    """

    rows: int
    groups: int
    limited: int
    dropped: bool


@dataclass(frozen=True)
class PoolCounts:
    """Rows by what became of them: read, kept, and dropped by reason; and near-duplicates.

    `turns` counts kept rows by what is unusual in the order of their turns.
    """

    read: int
    kept: int
    dropped: dict[str, int]
    turns: dict[str, int] = field(default_factory=dict)
    near_duplicates: NearDuplicateCounts | None = None


class RawBlock(NamedTuple):
    """Some of the rows that are still kept: their numbers in the raw file (int64, b), and they."""

    numbers: np.ndarray
    rows: pl.DataFrame


class RawPool:
    """The rows of the file that `raw.write_raw` wrote, and which of them are still kept.

    A step reads the kept rows with `blocks`, and leaves some out with `drop`; `write` ends with
    the tables. Memory holds a byte a row, and what was dropped after reading.

    Args:
        raw: the file; its folder may hold temporary files.

    Attributes:
        kept: which rows are kept: bool, n.

    Raises:
        InputError: different rows have one id.
    """

    def __init__(self, raw: Path) -> None:
        import duckdb

        self._raw = raw
        limit = int(min(MEMORY, machine_memory() / 2))
        config = {"temp_directory": str(raw.parent), "memory_limit": f"{limit} B"}
        self._db: Any = duckdb.connect(config=config)
        self._db.execute("SET enable_progress_bar = false")
        # seq, a row's number in the file, says which of several equal rows is the first.
        self._db.execute(f"CREATE VIEW read AS SELECT *, file_row_number AS seq FROM "
                         f"read_parquet('{_quoted(raw)}', file_row_number = true)")  # fmt: skip
        with report.spinner("finding duplicates"):
            self._db.execute("CREATE TABLE kept AS SELECT key, min(seq) AS seq FROM read "
                             "WHERE reason IS NULL GROUP BY key")  # fmt: skip
            _check_ids(self._db)
            self._db.execute(f"CREATE TABLE dropped AS {_DROPPED}")
        self.kept = _kept(self._db, tables.row_count(raw))

    def blocks(self, columns: list[str]) -> Iterator[RawBlock]:
        """The kept rows in the file's order, some thousand at a time.

        Args:
            columns: of `RAW_SCHEMA`.
        """
        seen = 0
        for block in prefetch(tables.iter_batches("pool", self._raw, ROWS_PER_BLOCK, columns)):
            kept = self.kept[seen : seen + block.height]
            yield RawBlock(seen + np.flatnonzero(kept), block.filter(pl.Series(kept)))
            seen += block.height

    def drop(self, numbers: np.ndarray, reason: str, details: list[str]) -> None:
        """Leaves kept rows out.

        Args:
            numbers: of rows in the raw file: int64.
            reason: why; the same for all.
            details: more about each.
        """
        drops = pl.DataFrame(
            {"seq": numbers, "reason": reason, "detail": details},
            schema={"seq": pl.Int64, "reason": pl.String, "detail": pl.String},
        )
        self._db.register("drops", drops.to_arrow())
        self._db.execute("""
            INSERT INTO dropped SELECT drops.seq, id, source, place, drops.reason, drops.detail
            FROM drops JOIN read ON read.seq = drops.seq""")
        self._db.unregister("drops")
        self.kept[numbers] = False

    def write(self, folder: Path, keep: Sequence[str] = ()) -> PoolCounts:
        """Writes `pool.parquet` and `dropped.parquet` into a folder.

        Args:
            keep: columns of the files that the pool has too.

        Raises:
            InputError: no row is left.
        """
        dropped = dict(self._db.execute(_DROP_COUNTS).fetchall())
        if not self.kept.any():
            counts = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
            raise InputError(
                f"pool.path: no row is left. Dropped: {counts or 'nothing was read'}. Check the "
                "rows of the files."
            )
        with report.spinner("writing the pool"):
            turns = self._write_kept(folder / "pool.parquet", keep)
            _write_dropped(self._db, folder / "dropped.parquet")
        return PoolCounts(len(self.kept), int(self.kept.sum()), dropped, turns)

    def _write_kept(self, path: Path, keep: Sequence[str]) -> dict[str, int]:
        """Writes the rows that are kept, numbered, in the file's order; see `PoolCounts.turns`."""
        # The column is there only where a row has something in it.
        columns = ["id", "source", "messages", *(TOOL_USE if self._any_tool_use() else ())]
        types = {}
        if keep:
            types = column_types((block.rows["extra"] for block in self.blocks(["extra"])), keep)
            columns.append("extra")
        turns = Counter()

        def blocks() -> Iterator[pl.DataFrame]:
            count = 0
            for _, rows in self.blocks(columns):
                numbers = pl.Series("row", range(count, count + rows.height), pl.Int64)
                if keep:
                    rows = rows.drop("extra").with_columns(unpack(rows["extra"], types))
                turns.update(_unusual_turns(rows["messages"]))
                count += rows.height
                yield rows.insert_column(0, numbers)

        with tables.open_writer("pool", path) as put:
            # A thread makes the next block while this one is written.
            for block in prefetch(blocks()):
                put(block)
        return {name: rows for name, rows in turns.items() if rows}

    def _any_tool_use(self) -> bool:
        """Whether a row with tool use is kept."""
        return any(rows["tool_use"].count() for _, rows in self.blocks(["tool_use"]))


def _unusual_turns(messages: pl.Series) -> dict[str, int]:
    """How many conversations begin with the assistant, and how many end with a user turn."""
    roles = messages.list.eval(pl.element().struct.field("role")).list
    first, second = roles.get(0, null_on_oob=True), roles.get(1, null_on_oob=True)
    after_system = pl.select(pl.when(first == "system").then(second).otherwise(first)).to_series()
    return {
        "begins with the assistant": int((after_system == "assistant").sum()),
        "ends with a user turn": int((roles.last() == "user").sum()),
    }


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
            "id per row. Give each its own, or set `pool.id` in params.yaml: `prefix` puts the "
            "source before each id, `content` makes all ids from the content."
        )


def _kept(db: Any, row_count: int) -> np.ndarray:
    """Which rows of the raw file are kept (bool, n)."""
    kept = np.zeros(row_count, dtype=bool)
    for batch in db.sql("SELECT seq FROM kept").to_arrow_reader(65_536):
        kept[batch.column(0).to_numpy()] = True
    return kept


def _write_dropped(db: Any, path: Path) -> None:
    query = "SELECT id, source, reason, detail, place FROM dropped ORDER BY seq"
    with tables.open_writer("dropped", path) as put:
        for batch in db.sql(query).to_arrow_reader(65_536):
            put(pl.DataFrame(pl.from_arrow(batch)).cast(tables.schema("dropped")))  # ty: ignore


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
