"""Measures how rows that overlap tests are found, on made-up rows of real lengths.

    python benchmarks/contamination.py [--rows 5800000]

20,000 tests of 20 tasks: a template that all tests of a task share, and words of their own (80 at
the median; every tenth question has 5); every tenth test has a long answer. Lengths of rows are
drawn like those of instruction rows (log-normal: user turns 210 characters at the median and 600 in
the mean, responses 1,000 at the median); words are drawn as often as in real text (Zipf). Every
tenth row begins with a task's template, every hundredth with words that 30 tests share. 200 rows
hold a test, in other case, with other punctuation, half of them between other text; 200 decoys hold
40 % of a test's words. `--rows` other than the default saves no result.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import in_new_process, save_result, temporary_folder, timed

from dataselect.data import tables
from dataselect.dedup.contamination import Contamination
from dataselect.dedup.pool import RawPool
from dataselect.dedup.raw import RAW_SCHEMA
from dataselect.dedup.settings import DecontaminateSettings

ROWS, TESTS, TASKS = 5_800_000, 20_000, 20
BLOCK_ROWS = 50_000
WORDS, SHARED_BY = 50_000, 30
PLANTED, DECOYS = 200, 200


class FilePool(RawPool):
    """The rows of a raw file, all kept: no search for duplicates is measured."""

    def __init__(self, raw: Path) -> None:
        self._raw = raw
        self.kept = np.ones(tables.row_count(raw), dtype=bool)


def main() -> None:
    """Makes the files, compares them in a process of its own, and counts what is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    with temporary_folder() as home:
        make(home, rows)
        size = round((home / "raw.parquet").stat().st_size / 1e6)
        run = in_new_process("contamination", "compare", home=str(home))
    result = {"rows": rows, "tests": TESTS, "file_mb": size, "stage": run}
    if rows == ROWS:
        save_result("contamination", result)


def compare(home: str) -> dict[str, Any]:
    """What the stage does with the pool, and what it finds."""
    folder = Path(home)
    tests = tables.read("tests", folder / "tests.parquet")
    pool = FilePool(folder / "raw.parquet")
    run: dict[str, Any] = {}
    with timed(run):
        found = Contamination(tests, DecontaminateSettings(), folder / "found.parquet")
        found.find(pool)
        found.write(pool.kept, folder / "contamination.parquet")
    overlaps = tables.read("contamination", folder / "contamination.parquet")
    questions = overlaps.filter("question_found")
    of_own = questions.filter(pl.col("id").str.split("/").list.last() == pl.col("test"))
    planted = of_own.filter(pl.col("id").str.starts_with("copy"))["id"].n_unique()
    decoys = questions.filter(pl.col("id").str.starts_with("decoy"))["id"].n_unique()
    others = questions.filter(pl.col("id").str.starts_with("row"))["id"].n_unique()
    per_row = round(run["seconds"] / len(pool.kept) * 1e6, 1)
    return {
        **run,
        "microseconds_per_row": per_row,
        "copies_found": planted,
        "decoys_found": decoys,
        "other_rows_found": others,
    }


def make(home: Path, rows: int) -> None:
    """The tests, and a raw file of rows with copies and decoys among them."""
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    letters = np.asarray(list("etaoinshrdlucmfwypvbgk"))
    words = np.asarray(["".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(WORDS)])
    templates = [" ".join(rng.choice(words, 15)) for _ in range(TASKS)]
    shared = [" ".join(rng.choice(words, 12)) for _ in range(TESTS // SHARED_BY)]
    questions = _tests(rng, words, templates, shared)
    questions.write_parquet(home / "tests.parquet")
    planted = _planted(rng, words, questions)
    places = set(rng.choice(rows, planted.height, replace=False).tolist())
    filler = _filler(rng, words, templates, shared)
    written, writer = 0, None
    for first in range(0, rows, BLOCK_ROWS):
        block = _block(filler.head(min(BLOCK_ROWS, rows - first)), first)
        here = sorted(place - first for place in places if first <= place < first + block.height)
        if here:
            extra = planted[written : written + len(here)].with_columns(row=pl.Series(here))
            written += len(here)
            block = block.with_columns(row=pl.int_range(pl.len())).update(extra, on="row")
        arrow = _raw(block).to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(home / "raw.parquet", arrow.schema, compression="lz4")
        writer.write_table(arrow)
    if writer:
        writer.close()


def _zipf(rng: np.random.Generator, words: np.ndarray, counts: np.ndarray) -> list[str]:
    """Texts of so many words, drawn as often as the words of real text."""
    weights = 1 / np.arange(3, len(words) + 3)
    text = rng.choice(words, counts.sum(), p=weights / weights.sum())
    return [" ".join(text[a:b]) for a, b in pairwise(np.r_[0, np.cumsum(counts)])]


def _tests(
    rng: np.random.Generator, words: np.ndarray, templates: Sequence[str], shared: Sequence[str]
) -> pl.DataFrame:
    counts = np.clip(rng.lognormal(np.log(80), 0.6, TESTS), 12, 1_000).astype(int)
    own = _zipf(rng, words, counts)
    long_answers = _zipf(rng, words, np.full(TESTS, 20))
    rows = []
    for number in range(TESTS):
        task = number % TASKS
        question = f"{templates[task]}: {own[number]} {shared[number % len(shared)]}?"
        if number % 10 == 0:
            question = " ".join(rng.choice(words, 5))  # by chance, no row holds these
        gold = long_answers[number] if number % 10 == 5 else own[number].split()[0]
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": gold}]
        rows.append({"task": f"task{task}", "id": f"t{number}", "messages": turns, "answer": gold})
    schema = tables.schema("tests")
    return pl.DataFrame([dict.fromkeys(schema) | row for row in rows], schema=schema)


def _planted(rng: np.random.Generator, words: np.ndarray, tests: pl.DataFrame) -> pl.DataFrame:
    """Rows that hold a test, and rows that hold 40 % of one; in random order."""
    chosen = tests.sample(PLANTED + DECOYS, seed=0, shuffle=True)
    around = _zipf(rng, words, np.full(2 * chosen.height, 60))
    rows = []
    for number, (name, turns) in enumerate(chosen.select("id", "messages").iter_rows()):
        question = turns[0]["content"].split()
        if number < PLANTED:
            text = ",  ".join(word.upper() if i % 3 else word for i, word in enumerate(question))
            if number % 2:
                text = f"{around[2 * number]}. {text} {around[2 * number + 1]}"
            rows.append((f"copy/{name}", text))
        else:
            middle = question[len(question) // 2 :][: int(0.4 * len(question))]
            rows.append((f"decoy/{name}", f"{around[2 * number]} {' '.join(middle)}"))
    schema = {"id": pl.String, "user": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").sample(fraction=1, shuffle=True, seed=1)


def _filler(
    rng: np.random.Generator, words: np.ndarray, templates: Sequence[str], shared: Sequence[str]
) -> pl.DataFrame:
    """The texts of a block of rows."""
    user = np.clip(rng.lognormal(np.log(210), 1.45, BLOCK_ROWS) / 6, 2, 6_000).astype(int)
    response = np.clip(rng.lognormal(np.log(1_000), 0.8, BLOCK_ROWS) / 6, 2, 4_000).astype(int)
    texts = _zipf(rng, words, user)
    for number in range(0, BLOCK_ROWS, 10):
        start = templates if number % 100 else shared
        texts[number] = f"{start[number // 10 % len(start)]}: {texts[number]}"
    return pl.DataFrame({"user": texts, "response": _zipf(rng, words, response)})


def _block(filler: pl.DataFrame, first: int) -> pl.DataFrame:
    """Rows of these texts, each with a number of its own."""
    number = pl.int_range(first, first + filler.height).cast(pl.String)
    return filler.select(
        id=pl.concat_str(pl.lit("row"), number),
        user=pl.concat_str("user", pl.lit(" "), number),
        response="response",
    )


def _raw(block: pl.DataFrame) -> pl.DataFrame:
    """The block in `RAW_SCHEMA`."""

    def turn(role: str, content: str) -> pl.Expr:
        return pl.struct(role=pl.lit(role), content=pl.col(content))

    turns = pl.concat_list(turn("user", "user"), turn("assistant", "response"))
    frame = block.select("id", source=pl.lit("made up"), messages=turns.cast(tables.MESSAGES))
    lacking = {name: kind for name, kind in RAW_SCHEMA.items() if name not in frame.columns}
    return frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in lacking.items())


if __name__ == "__main__":
    main()
