"""Measures the search for near-duplicates: against text-dedup and semhash, and by the pool's size.

    python benchmarks/near_duplicates.py --pool shared/pool.parquet --tools FOLDER

The pool is a file of real rows (id, source, messages). The other tools are no dependencies: make
an environment for each, as `FOLDER/text-dedup` and `FOLDER/semhash`, with `python -m venv` and its
`pip install text-dedup` or `pip install semhash`. Without `--tools` only ours is measured.

All get the same rows, without exact duplicates, as texts. `rows_found` is how many rows a tool
would remove. `precision` is the share of a sample of them that have, in their group, a row of a
Jaccard similarity of 0.8 or more, by our words (text-dedup's differ: it splits at every character
that is none). `recall` is the share of all pairs that similar in a sample of rows, found by
comparing each with each, that are in a group. semhash compares meaning, by a model of a hub;
without a network it gets random word vectors instead, so only its time and memory count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import in_new_process, save_result, temporary_folder, timed

from dataselect.compute import no_progress
from dataselect.data import tables
from dataselect.dedup.sequences import unique_in_rows, word_sequences
from dataselect.dedup.settings import NearDuplicateSettings, PoolRules
from dataselect.dedup.steps import write_pool
from dataselect.dedup.truncation import find_truncated
from dataselect.models.settings import TokenizerSettings

SIMILARITY = 0.8
SAMPLED_REMOVED = 2_000
SAMPLED_ROWS = 10_000
SIZES = (100_000, 300_000, 1_000_000)
FULL_SIZE = 5_800_000
STEP = ("step_seconds", "step_cpu_seconds")
COPIES = 10  # every tenth made-up row nearly repeats another


def main() -> None:
    """Runs every tool on the pool, ours also on made-up rows, and compares what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", required=True, help="a parquet file of real rows")
    parser.add_argument("--tools", help="the folder of the other tools' environments")
    options = parser.parse_args()
    with temporary_folder() as home:
        result = compare(Path(options.pool), options.tools and Path(options.tools), home)
        result["by_rows"] = [measure_size(home, rows) for rows in SIZES]
    last = result["by_rows"][-1]
    far = {name: round(last[name] / SIZES[-1] * FULL_SIZE) for name in STEP}
    result["extrapolated"] = {"rows": FULL_SIZE, **far}
    save_result("near_duplicates", result)


def compare(pool: Path, tools: Path | None, home: Path) -> dict[str, Any]:
    """All tools on the real rows."""
    base = in_new_process("near_duplicates", "ours", path=str(pool), out=str(home / "base"), near=0)
    ours = in_new_process("near_duplicates", "ours", path=str(pool), out=str(home / "ours"), near=1)
    ours |= step_seconds(base, ours)
    rows = tables.read("pool", home / "base" / "pool.parquet")
    found = {"ours": (ours, groups_of_ours(home / "ours", rows["id"].to_list()))}
    texts = home / "texts.jsonl"
    contents = pl.col("messages").list.eval(pl.element().struct.field("content"))
    rows.select("id", text=contents.list.join("\n")).write_ndjson(texts)
    script = Path(__file__).with_name("other_near_duplicates.py").resolve()
    for name in ("text-dedup", "semhash") if tools else ():
        out = home / f"{name}.json"
        python = (tools or home) / name / "bin" / "python"
        command = [str(python), str(script), name, str(texts), str(out), str(SIMILARITY)]
        quiet = {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "HF_HUB_OFFLINE": "1"}
        subprocess.run(command, check=True, cwd=home, env={**os.environ, **quiet})
        run = json.loads(out.read_text())
        found[name] = (run, run.pop("groups"))
    checks = Checks(rows["messages"])
    tools_found = {name: {**run, **checks.check(groups)} for name, (run, groups) in found.items()}
    return {"rows": rows.height, "stage_without": base, "similarity": SIMILARITY, **tools_found}


def ours(path: str, out: str, near: int) -> dict[str, Any]:
    """The stage's work on the pool, with or without near-duplicates, but for the tokenizer."""
    run: dict[str, Any] = {}
    with timed(run):
        write_pool(
            [path],
            Path(out),
            rules=PoolRules(),
            truncation=find_truncated(TokenizerSettings(name=""), keep=True),
            progress=no_progress,
            near_duplicates=NearDuplicateSettings(similarity=SIMILARITY) if near else None,
        )
    return run


def groups_of_ours(folder: Path, names: list[str]) -> list[list[int]]:
    """The groups that dropped.parquet tells of, as numbers of rows."""
    number = {name: row for row, name in enumerate(names)}
    dropped = tables.read("dropped", folder / "dropped.parquet")
    near = dropped.filter(pl.col("reason") == "near-duplicate")
    groups: dict[str, list[int]] = {}
    kept = near["detail"].str.extract("`(.*)`")
    for name, first in zip(near["id"], kept, strict=True):
        groups.setdefault(first, [number[first]]).append(number[name])
    return list(groups.values())


class Checks:
    """Checks groups against exact similarities.

    Args:
        messages: of all rows.
    """

    def __init__(self, messages: pl.Series) -> None:
        hashes, starts = unique_in_rows(word_sequences(messages))
        rows = np.split(hashes, starts[1:-1])
        self._sets = [frozenset(row.tolist()) for row in rows]
        self._rng = np.random.default_rng(0)
        sample = self._rng.choice(len(rows), min(SAMPLED_ROWS, len(rows)), replace=False)
        self._pairs = similar_pairs(rows, np.sort(sample))

    def check(self, groups: list[list[int]]) -> dict[str, Any]:
        """How many rows are found, how many of them rightly, and how many pairs of a sample."""
        removed = [(row, group) for group in groups for row in sorted(group)[1:]]
        order = self._rng.permutation(len(removed))[:SAMPLED_REMOVED]
        right = sum(self._resembles_another(*removed[i]) for i in order)
        group_of = {row: number for number, group in enumerate(groups) for row in group}
        found = sum(group_of.get(a, -1) == group_of.get(b, -2) for a, b in self._pairs)
        return {
            "rows_found": len(removed),
            "groups": len(groups),
            "precision": round(right / max(len(order), 1), 4),
            "recall": round(found / max(len(self._pairs), 1), 4),
            "pairs_compared_with": len(self._pairs),
        }

    def _resembles_another(self, row: int, group: list[int]) -> bool:
        own = self._sets[row]
        others = (self._sets[other] for other in group if other != row)
        return any(own and len(own & other) >= SIMILARITY * len(own | other) for other in others)


def similar_pairs(rows: list[np.ndarray], sample: np.ndarray) -> list[tuple[int, int]]:
    """All pairs of the sample that are similar, from the product of its matrix with itself."""
    from scipy.sparse import csr_array

    chosen = [rows[number] for number in sample]
    values, columns = np.unique(np.concatenate(chosen), return_inverse=True)
    sizes = np.array([len(row) for row in chosen])
    edges = np.concatenate([[0], np.cumsum(sizes)])
    ones = np.ones(len(columns), dtype=np.int32)
    matrix = csr_array((ones, columns, edges), shape=(len(chosen), len(values)))
    pairs = []
    for first in range(0, len(chosen), 500):
        shared = (matrix[first : first + 500] @ matrix.T).tocoo()
        left, right = shared.row + first, shared.col
        similar = shared.data >= SIMILARITY * (sizes[left] + sizes[right] - shared.data)
        similar &= left < right
        pairs += zip(sample[left[similar]].tolist(), sample[right[similar]].tolist(), strict=True)
    return pairs


def measure_size(home: Path, rows: int) -> dict[str, Any]:
    """Ours on so many made-up rows, of which every tenth nearly repeats another."""
    path = home / f"made-{rows}.parquet"
    make(path, rows)
    base = in_new_process("near_duplicates", "ours", path=str(path), out=str(home / "a"), near=0)
    near = in_new_process("near_duplicates", "ours", path=str(path), out=str(home / "b"), near=1)
    dropped = tables.row_count(home / "b" / "dropped.parquet")
    return {
        "rows": rows,
        "dropped": dropped,
        **step_seconds(base, near),
        "peak_mb": near["peak_mb"],
        "peak_mb_without": base["peak_mb"],
    }


def step_seconds(base: dict[str, Any], near: dict[str, Any]) -> dict[str, float]:
    """What the step adds to the stage: seconds, and processor seconds."""
    names = [name.removeprefix("step_") for name in STEP]
    return {f"step_{name}": round(near[name] - base[name], 2) for name in names}


def make(path: Path, rows: int) -> None:
    """A raw file of random words, with lengths like those of instruction rows."""
    rng = np.random.default_rng(0)
    words = np.array(["".join(letters) for letters in combinations("etaoinshrdlucmf", 5)])
    texts: list[np.ndarray] = []
    parts = []
    for row in range(rows):
        if row % COPIES == COPIES - 1:
            text = texts[rng.integers(len(texts))].copy()
            text[rng.integers(len(text), size=max(len(text) // 60, 1))] = "changed"
        else:
            length = int(np.clip(rng.lognormal(np.log(200), 0.8), 4, 4_000))
            text = words[rng.integers(len(words), size=length)]
        texts.append(text)
        if len(texts) == 10_000 or row == rows - 1:
            parts.append(_frame(texts, row + 1 - len(texts)))
            texts = []
    pl.concat(parts).write_parquet(path)


def _frame(texts: list[np.ndarray], first: int) -> pl.DataFrame:
    turns = [
        [
            {"role": "user", "content": " ".join(text[: len(text) // 3])},
            {"role": "assistant", "content": " ".join(text[len(text) // 3 :])},
        ]
        for text in texts
    ]
    names = [f"r{first + number}" for number in range(len(texts))]
    columns = {"id": names, "source": ["made"] * len(texts), "messages": turns}
    schema = {"id": pl.String, "source": pl.String, "messages": tables.MESSAGES}
    return pl.DataFrame(columns, schema=schema)


if __name__ == "__main__":
    main()
