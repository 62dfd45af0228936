"""Which rows of the pool overlap tests: found in a stream, left out on request, and written."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from dataselect import report
from dataselect.compute.threads import threads
from dataselect.data import tables
from dataselect.dedup.overlaps import find_overlaps
from dataselect.dedup.pool import RawBlock, RawPool
from dataselect.dedup.questions import index_questions
from dataselect.dedup.settings import DecontaminateSettings
from dataselect.dedup.tasks import queries_in_tests
from dataselect.report import Progress

REASON = "overlaps a test"

#: The table before its rows have numbers in the pool: `number` is that in the raw file.
_FOUND = {"number": pl.Int64} | {
    name: dtype for name, dtype in tables.schema("contamination").items() if name != "row"
}


class _Compared(NamedTuple):
    """A block that was compared: its number of rows, and the pairs found, in `_FOUND`."""

    rows: int
    found: pl.DataFrame


class Contamination:
    """The pairs of rows and tests that overlap, in a file until the pool is final.

    Args:
        tests: a `tests` table.
        settings: what overlaps, and what becomes of such rows; None: nothing is looked for.
        path: the file, for a while.
    """

    def __init__(
        self, tests: pl.DataFrame, settings: DecontaminateSettings | None, path: Path
    ) -> None:
        self._tests, self._settings, self._path = tests, settings, path
        self._dropped = np.empty(0, np.int64)

    def find(self, pool: RawPool) -> None:
        """Compares the kept rows with the tests; leaves out those that overlap, where so set."""
        import pyarrow.parquet as pq

        if self._settings is None or self._tests.is_empty():
            return
        questions = index_questions(self._tests, self._settings.ngram)
        names = self._tests.select("task", pl.col("id").alias("test"))
        oldest = pl.CompatLevel.oldest()
        schema = pl.DataFrame(schema=_FOUND).to_arrow(compat_level=oldest).schema
        drops = [pl.DataFrame(schema={"number": pl.Int64, "detail": pl.String})]
        count, share = int(pool.kept.sum()), self._settings.share
        drop = self._settings.action == "drop"

        def compare(block: RawBlock, _: Progress) -> _Compared:
            pairs = find_overlaps(block.rows, questions, share)
            return _Compared(block.rows.height, _with_names(pairs, block, names))

        with (
            report.progress("rows compared with tests", count) as progress,
            threads(lambda: compare) as run,
            pq.ParquetWriter(self._path, schema, compression="lz4") as writer,
        ):
            for _, found in run(pool.blocks(["id", "source", "messages"]), progress):
                writer.write_table(found.to_arrow(compat_level=oldest))
                if drop:
                    drops.append(_drops(found))
        dropped = pl.concat(drops)
        if not dropped.is_empty():
            self._dropped = dropped["number"].to_numpy()
            pool.drop(self._dropped, REASON, dropped["detail"].to_list())

    def write(self, kept: np.ndarray, path: Path) -> None:
        """Writes the pairs whose row is in the pool, or was left out for them.

        Args:
            kept: which rows of the raw file are in the pool: bool.
            path: the table `contamination`.
        """
        with tables.open_writer("contamination", path) as put:
            if not self._path.exists():
                return
            rows = np.cumsum(kept) - 1
            for block in tables.iter_batches("contamination", self._path, columns=list(_FOUND)):
                numbers = block["number"].to_numpy()
                row = pl.Series("row", rows[numbers])
                in_pool = pl.Series(kept[numbers])
                listed = in_pool | pl.Series(np.isin(numbers, self._dropped))
                frame = block.with_columns(row=pl.when(in_pool).then(row))
                put(frame.filter(listed).select(list(tables.schema("contamination"))))


def queries_among_tests(
    queries: pl.DataFrame, tests: pl.DataFrame, settings: DecontaminateSettings | None
) -> list[tuple[str, str]]:
    """Task and id of the queries whose prompt is a test's, or that a test overlaps, in their order.

    Args:
        settings: what overlaps; None: only equal prompts count.
    """
    found = {*queries_in_tests(queries, tests)}
    if settings is not None:
        found |= {*overlapping_queries(queries, tests, settings)}
    return [name for name in queries.select("task", "id").iter_rows() if name in found]


def overlapping_queries(
    queries: pl.DataFrame, tests: pl.DataFrame, settings: DecontaminateSettings
) -> list[tuple[str, str]]:
    """Task and id of the queries that the question of a test overlaps, by the same rule."""
    if queries.is_empty() or tests.is_empty():
        return []
    pairs = find_overlaps(queries, index_questions(tests, settings.ngram), settings.share)
    numbers = pairs.filter("question_found")["row"].unique().sort()
    return queries.select("task", "id")[numbers].rows()


def _with_names(pairs: pl.DataFrame, block: RawBlock, names: pl.DataFrame) -> pl.DataFrame:
    """Pairs of a block with the row's number, id and source, and the test's task and id."""
    row, test = pairs["row"], pairs["test"]
    columns = [
        pl.Series("number", block.numbers)[row].alias("number"),
        *block.rows.select("id", "source")[row],
        *names[test],
        *pairs.drop("row", "test"),
    ]
    return pl.DataFrame(columns).select(list(_FOUND))


def _drops(found: pl.DataFrame) -> pl.DataFrame:
    """Each row with a question of a test, and of these the one that matches most: the first."""
    best = pl.col("task", "test").sort_by("share", descending=True, maintain_order=True).first()
    return (
        found.filter("question_found")
        .group_by("number", maintain_order=True)
        .agg(best)
        .select("number", detail=pl.format("{}: {}", "task", "test"))
    )
