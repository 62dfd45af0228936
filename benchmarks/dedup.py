"""Measures the dedup stage on made-up rows of real lengths, against plain DuckDB on the same file.

    python benchmarks/dedup.py [--rows 5800000] [--compared 300000]

Text is random words; lengths are drawn like those of instruction rows (log-normal, 1,000
characters at the median); one row in a hundred repeats another. Plain DuckDB does the minimum that
finds duplicates: the same key, the first row of each, written to parquet; nothing is checked.

On the first `--compared` rows, as parquet and as JSON lines, the stage is also run with every row
read by itself, as it reads rows with tools or a fault: how many times as fast are columns?
Options other than the defaults save no result.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import in_new_process, save_result, temporary_folder, timed

from dataselect.compute import no_progress
from dataselect.data import tables
from dataselect.dedup import columns, parts, raw
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.steps import write_pool
from dataselect.dedup.truncation import find_truncated
from dataselect.models.settings import TokenizerSettings

ROWS = 5_800_000
COMPARED = 300_000
BLOCK_ROWS = 50_000
WORDS = 4_000
REPEATED = 100  # every hundredth row


def main() -> None:
    """Makes the files, and runs all on them, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--compared", type=int, default=COMPARED)
    given = parser.parse_args()
    with temporary_folder() as home:
        path = str(home / "raw.parquet")
        make(Path(path), given.rows)
        size = round(Path(path).stat().st_size / 1e6)
        ours = in_new_process("dedup", "stage", path=path, out=str(home / "out"))
        plain = in_new_process("dedup", "plain", path=path, out=str(home / "plain.parquet"))
        result = {"rows": given.rows, "file_mb": size, "stage": ours, "duckdb": plain}
        result["stage_over_duckdb"] = round(ours["seconds"] / plain["seconds"], 2)
        result["same_rows"] = ours["kept"] == plain["kept"]
        result["columns"] = {"rows": given.compared, **compare(home, given.compared)}
    if (given.rows, given.compared) == (ROWS, COMPARED):
        save_result("dedup", result)


def compare(home: Path, rows: int) -> dict[str, Any]:
    """The stage by whole columns and row by row, on parquet and on JSON lines."""
    make(home / "few.parquet", rows)
    pl.scan_parquet(home / "few.parquet").sink_ndjson(home / "few.jsonl")
    found = {}
    for kind in ("parquet", "jsonl"):
        path, outs = str(home / f"few.{kind}"), [str(home / f"{kind}-{way}") for way in range(2)]
        by_row = in_new_process("dedup", "stage", path=path, out=outs[0], by_row=True)
        by_column = in_new_process("dedup", "stage", path=path, out=outs[1])
        same = all(
            Path(outs[0], name).read_bytes() == Path(outs[1], name).read_bytes()
            for name in ("pool.parquet", "dropped.parquet")
        )
        found[kind] = {"by_row": by_row, "by_column": by_column, "same_bytes": same}
        for clock in ("seconds", "cpu_seconds"):
            found[kind][f"by_row_over_by_column_{clock}"] = round(
                by_row[clock] / by_column[clock], 2
            )
    return found


def make(path: Path, rows: int) -> None:
    """A raw file of conversations with ids and sources."""
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    words = np.asarray(["".join(rng.choice(list("etaoinshrdlu"), 5)) for _ in range(WORDS)])
    lengths = np.clip(rng.lognormal(np.log(1_000), 0.8, BLOCK_ROWS) / 6, 2, 4_000).astype(int)
    text = " ".join(words[rng.integers(WORDS, size=lengths.sum())])
    edges = np.concatenate([[0], np.cumsum(lengths * 6)])
    texts = pl.DataFrame({"text": [text[a : b - 1] for a, b in pairwise(edges)]})
    writer = None
    for first in range(0, rows, BLOCK_ROWS):
        frame = _block(texts.head(min(BLOCK_ROWS, rows - first)), first)
        block = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(path, block.schema, compression="zstd")
        writer.write_table(block)
    if writer:
        writer.close()


def _block(texts: pl.DataFrame, first: int) -> pl.DataFrame:
    """The texts, each after a number of its own, but for those that repeat an earlier row."""
    row = pl.int_range(first, first + texts.height)
    repeats = row % REPEATED == 0
    number = pl.when(repeats).then(row // (10 * REPEATED)).otherwise(row)
    text = pl.when(repeats).then(pl.col("text").first()).otherwise(pl.col("text"))
    question = pl.concat_str([number.cast(pl.String), text.str.slice(0, 300)])

    def turn(role: str, content: pl.Expr) -> pl.Expr:
        return pl.struct(role=pl.lit(role), content=content)

    turns = pl.concat_list(turn("user", question), turn("assistant", text))
    return texts.select(
        id=pl.concat_str(pl.lit("r"), row.cast(pl.String)),
        source=pl.concat_str(pl.lit("s"), (row % 46).cast(pl.String)),
        messages=turns.cast(tables.MESSAGES),
    )


def stage(path: str, out: str, by_row: bool = False) -> dict[str, Any]:
    """The stage's work; no row is so long that a tokenizer must say whether it is truncated.

    Args:
        by_row: whether each row is read by itself.
    """
    run: dict[str, Any] = {}
    if by_row:
        raw.read_pool_parts = _read_rows  # ty: ignore
    with timed(run):
        counts = write_pool(
            [path],
            Path(out),
            rules=PoolRules(),
            truncation=find_truncated(TokenizerSettings(name="")),
            progress=no_progress,
        )
    return {**run, "kept": counts.kept, "rows_per_second": round(counts.read / run["seconds"])}


def _read_rows(*given: Any) -> Iterator[parts.Part]:
    for part in columns.read_pool_parts(*given):
        yield parts.RecordPart(part.rows())


def plain(path: str, out: str) -> dict[str, Any]:
    """The key, the first row of each, and a file of these."""
    import duckdb

    run: dict[str, Any] = {}
    db = duckdb.connect(config={"temp_directory": str(Path(out).parent), "memory_limit": "4GB"})
    db.execute("SET enable_progress_bar = false")
    key = "md5(array_to_string([m.role || ': ' || trim(m.content) FOR m IN messages], chr(10)))"
    with timed(run):
        db.execute(f"""COPY (
            WITH read AS (SELECT *, file_row_number AS seq, {key} AS key
                          FROM read_parquet('{path}', file_row_number = true)),
                 kept AS (SELECT min(seq) AS seq FROM read GROUP BY key)
            SELECT row_number() OVER (ORDER BY seq) - 1 AS row, id, source, messages
            FROM read SEMI JOIN kept USING (seq) ORDER BY seq
        ) TO '{out}' (COMPRESSION zstd)""")
    kept = tables.row_count(out)
    return {**run, "kept": kept}


if __name__ == "__main__":
    main()
