"""A made-up run in a folder of its own, with the tables and features that figures read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.made_up_runs import MadeUp
from safetensors.numpy import save_file

from dataselect.data import tables

CHECKPOINTS = 8


def write_run(home: Path, run: MadeUp, rows: int = 400, sources: int = 4, seed: int = 0) -> str:
    """Writes the run; returns the folder's name, as `dataselect figures` takes it.

    S2L has clusters of trajectories, two in every source; other methods a score for each task.
    """
    draws = np.random.default_rng([seed, *run.name.encode()])
    of_source = (sources * np.random.default_rng(rows).uniform(size=rows) ** 2).astype(np.int64)
    names = [f"source number {n} with its name" for n in range(sources)]
    pool = pl.DataFrame({
        "row": np.arange(rows),
        "id": [f"r{i}" for i in range(rows)],
        "source": [names[n] for n in of_source],
        "messages": [[{"role": "user", "content": "?"}]] * rows,
        "topic": [f"topic {n % 2}" for n in of_source],
    })  # fmt: skip
    if run.method == "s2l":
        scores, groups = _clusters(home, of_source, names, draws)
    else:
        scores, groups = _scores(rows, list(run.tasks), draws)
    best = np.array(scores["score"].to_list()).max(axis=1)
    chosen = np.argsort(-best)[: run.budget]
    selection = (
        pool[chosen]
        .select("row", "id", "source")
        .with_columns(
            rank=pl.int_range(len(chosen)),
            group=pl.lit(0, pl.Int64),
            task=pl.lit(None, pl.String),
            score=pl.Series(best[chosen], dtype=pl.Float32),
        )
    )
    out = home / "out"
    for name, table in {
        "pool": pool,
        "scores": scores,
        "groups": groups,
        "selection": selection.select(list(tables.schema("selection"))),
        "evaluation": run.evaluation(),
    }.items():
        tables.write(name, table, out / f"{name}.parquet")
    (home / "metrics").mkdir()
    for name in ("metrics/eval.json", "metrics/cost.json"):
        (home / name).write_bytes(run.files()[name])
    return str(home)


def _scores(rows: int, tasks: list[str], draws: np.random.Generator):
    """A score for every task, and the groups."""
    values = draws.normal(np.arange(len(tasks)), 1, (rows, len(tasks))).astype(np.float32)
    groups = [(n, task, task, None) for n, task in enumerate(tasks)]
    return _table([None] * rows, values), _groups(groups)


def _clusters(home: Path, of_source: np.ndarray, names: list[str], draws: np.random.Generator):
    """Trajectories that fall fast or slowly, in two shards: two clusters in every source."""
    rows = len(of_source)
    fast = np.arange(rows) // 2 % 2
    steps = np.arange(CHECKPOINTS)
    level = 2 + 0.02 * of_source[:, None]
    curves = level * np.exp(-steps * (0.05 + 0.2 * fast[:, None]))
    curves = (curves + draws.normal(0, 0.1, curves.shape)).astype(np.float32)
    folder = home / "out/features/pool"
    folder.mkdir(parents=True)
    for number, part in enumerate(np.array_split(curves, 2)):
        save_file({"nll": np.ascontiguousarray(part)}, folder / f"{number:05d}.safetensors")
    parts = [(name, k) for name in names for k in (0, 1)]
    groups = [(number, f"{name}/{k}", None, name) for number, (name, k) in enumerate(parts)]
    values = draws.uniform(size=(rows, 1)).astype(np.float32)
    return _table((2 * of_source + fast).tolist(), values), _groups(groups)


def _table(groups: list[int | None], values: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({
        "row": np.arange(len(values)),
        "id": [f"r{i}" for i in range(len(values))],
        "group": pl.Series(groups, dtype=pl.Int64),
        "score": pl.Series(values, dtype=pl.Array(pl.Float32, values.shape[1])),
    })  # fmt: skip


def _groups(rows: list[tuple]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=tables.schema("groups"), orient="row")
