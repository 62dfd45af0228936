"""The steps from raw files to the tables of the pool, in their order."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl

from dataselect.data import tables
from dataselect.dedup.contamination import Contamination
from dataselect.dedup.near_duplicates import drop_near_duplicates
from dataselect.dedup.pool import PoolCounts, RawPool
from dataselect.dedup.raw import Truncation, write_raw
from dataselect.dedup.settings import DecontaminateSettings, NearDuplicateSettings, PoolRules
from dataselect.report import Progress


def write_pool(
    paths: list[str],
    folder: Path,
    *,
    rules: PoolRules,
    truncation: Truncation,
    progress: Progress,
    tests: pl.DataFrame | None = None,
    decontaminate: DecontaminateSettings | None = None,
    near_duplicates: NearDuplicateSettings | None = None,
) -> PoolCounts:
    """Writes `pool.parquet`, `dropped.parquet` and `contamination.parquet` into a folder.

    Of rows with the same `duplicate_key` the first is kept. Memory does not grow with the pool:
    rows stream through a file on disk, and DuckDB finds the duplicates, spilling where it must.

    Args:
        paths: the raw files, in order.
        rules: how rows are read, and which are left out.
        progress: called after every block of rows read.
        tests: what rows may overlap: a `tests` table; None: no tests.
        decontaminate: what becomes of rows that overlap; None: none is looked for.
        near_duplicates: which rows are near-duplicates; None: none is looked for.

    Raises:
        InputError: a bad row (unless dropped), two rows with one id, or no row is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".dedup-") as scratch:
        raw = Path(scratch) / "read.parquet"
        write_raw(paths, raw, rules, truncation, progress)
        pool = RawPool(raw)
        tests = tables.empty("tests") if tests is None else tests
        contamination = Contamination(tests, decontaminate, Path(scratch) / "overlaps.parquet")
        contamination.find(pool)
        # After it: of near-duplicates the first row stays, and should not be one that overlaps.
        found = drop_near_duplicates(pool, near_duplicates, raw.parent) if near_duplicates else None
        counts = replace(pool.write(folder, rules.keep), near_duplicates=found)
        contamination.write(pool.kept, folder / "contamination.parquet")
        return counts
