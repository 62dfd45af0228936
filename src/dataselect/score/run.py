"""features → the score matrix: reads shards and tables, writes `scores` and `groups`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from dataselect import report
from dataselect.compute import Work
from dataselect.compute.local import local
from dataselect.compute.prefetch import prefetch
from dataselect.compute.threads import threads
from dataselect.data import shards, tables
from dataselect.data.scores import (
    Block,
    Group,
    Pool,
    Queries,
    Rows,
    Scores,
    SingleGroup,
    finite_rows,
)
from dataselect.errors import InputError, first_few
from dataselect.report import Progress
from dataselect.settings import part_function, part_module, said


@dataclass
class Scored:
    """What scoring did: the groups, the number of rows, and the rows without usable features."""

    groups: list[Group]
    rows: int
    unusable: list[str] = field(default_factory=list)


class Part(NamedTuple):
    """Some rows' scores, in the pool's order: ids, which rows are usable (bool, b), the scores."""

    ids: list[str]
    usable: np.ndarray
    block: Block

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.ids)


def score(section: dict[str, Any], out: Path, features: Path, engine: Any = local) -> Scored:
    """Streams the pool through the plan's scorer into `scores.parquet` and `groups.parquet`.

    A row with a NaN or an infinite number among what the scorer looks at is no candidate.

    Args:
        section: the plan's `score`.
        out: the folder of the pool and of what is written.
        features: the folder of the features; empty for a method without.
        engine: where the work runs: see `engines`. A scorer that has to see the pool as a whole
            always runs here.

    Raises:
        InputError: such a number in a query.
    """
    scorer, table = section["scorer"], out / "pool.parquet"
    names = said("score", scorer, "needs")
    seen = _Seen.of(table)
    stream = _Stream(table, features / "pool", names)
    opened = _opened(scorer, out, features, seen)
    with report.progress("score", seen.height) as advance:
        if getattr(part_module("score", scorer["name"], "plan.json"), "APART", False):
            # On this machine by threads, whatever there is of GPUs: it is numpy's work.
            groups = opened([]).groups
            if getattr(engine, "func", engine) is local:
                on = threads(partial(_feeding, opened, names))
            else:
                on = engine(partial(_start, scorer, out.resolve(), features.resolve(), seen))
            with on as run:
                rows, unusable = _write(groups, run(stream.jobs(), advance), out)
        else:
            scores = opened(stream)
            groups = scores.groups
            rows, unusable = _write(groups, stream.parts(scores.blocks, advance), out)
    if rows != seen.height:
        raise ValueError(f"the scorer `{scorer['name']}` gave {rows} rows of {seen.height}")
    return Scored(groups, rows, unusable)


class _Seen(NamedTuple):
    """What is known of a pool before its rows are read: how many, and its sources in order."""

    height: int
    sources: list[str]

    @classmethod
    def of(cls, table: Path) -> _Seen:
        sources = pl.scan_parquet(table).select("source").unique().collect()["source"]
        return cls(tables.row_count(table), sorted(sources))


def _opened(
    scorer: dict[str, Any], out: Path, features: Path, seen: _Seen
) -> Callable[[Iterable[Rows]], Scores]:
    """The scorer with its queries, as a function of the pool's rows."""
    of = part_function("score", scorer["name"], "plan.json")
    settings = dict(scorer["settings"])
    if "groups" in settings:
        names = said("score", scorer, "needs")
        settings["queries"] = _queries(out / "queries.parquet", features / "queries", names)
    return lambda rows: of(Pool(*seen, rows), **settings)


class Job(NamedTuple):
    """A shard to be scored: its file, and the ids and sources of its rows."""

    path: Path | None
    ids: list[str]
    sources: list[str]

    def read(self, names: tuple[str, ...]) -> Rows:
        """Its rows, with the features of these names; without names, with all there are."""
        arrays = shards.read_arrays(self.path, names or None) if self.path else {}
        return Rows(self.ids, self.sources, arrays)


def _start(scorer: dict[str, Any], out: Path, features: Path, seen: _Seen) -> Work:
    """A worker in a process of its own, which reads the queries for itself.

    Its products keep to one thread, as they do here: another number gives other last bits.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    return _feeding(_opened(scorer, out, features, seen), said("score", scorer, "needs"))


def _feeding(opened: Callable[[Iterable[Rows]], Scores], names: tuple[str, ...]) -> Work:
    """A worker: feeds a scorer that scores rows apart one shard at a time."""
    waiting: deque[Rows] = deque()
    blocks = opened(iter(waiting.popleft, None)).blocks

    def work(job: Job, advance: Progress) -> Part:
        rows = job.read(names)
        waiting.append(rows)
        block = next(blocks)
        advance(len(job.ids))
        return Part(job.ids, usable(rows, names), block)

    return work


def usable(rows: Rows, names: tuple[str, ...]) -> np.ndarray:
    """Which rows (bool, b) have only finite numbers in what is looked at."""
    return finite_rows(rows.features, names) if names else np.ones(len(rows.id), dtype=bool)


def _queries(table: Path, features: Path, names: tuple[str, ...]) -> Queries:
    frame = tables.read("queries", table)
    arrays = shards.read_all(features)
    wrong = frame["id"].filter(pl.Series(~finite_rows(arrays, names))).to_list()
    if wrong:
        raise InputError(
            f"queries.path: {len(wrong)} queries have NaN or infinite features: {first_few(wrong)}. "
            "Give them an answer, leave them out, or set the model's `dtype: float32` if it "
            "overflows."
        )
    return to_queries(frame, arrays)


def to_queries(frame: pl.DataFrame, features: dict[str, np.ndarray]) -> Queries:
    """The queries of a table, with their features."""
    task, name, subtask = (frame[column].to_list() for column in ("task", "id", "subtask"))
    return Queries(task, name, features, subtask)


class _Stream:
    """The pool's rows with their features, a shard at a time, read once.

    Remembers what is written beside the scores: the ids of blocks that a scorer has taken and
    whose scores it has not given yet, and which of their rows are usable.
    """

    def __init__(self, table: Path, features: Path, names: tuple[str, ...]) -> None:
        self.table, self.names = table, names
        self.paths = shards.shard_paths(features)
        self.waiting: deque[tuple[list[str], np.ndarray]] = deque()

    def jobs(self) -> Iterator[Job]:
        """A job a shard; where there are no features, one for every 65,536 rows."""
        blocks = tables.iter_batches("pool", self.table, columns=["id", "source"])
        paths: Iterable[Path | None] = self.paths
        if self.paths:
            blocks = tables.rebatch(blocks, map(shards.row_count, self.paths))
        else:
            paths = repeat(None)
        for path, block in zip(paths, blocks, strict=bool(self.paths)):
            yield Job(path, block["id"].to_list(), block["source"].to_list())

    def __iter__(self) -> Iterator[Rows]:
        for rows in prefetch(job.read(self.names) for job in self.jobs()):
            self.waiting.append((rows.id, usable(rows, self.names)))
            yield rows

    def parts(self, blocks: Iterator[Block], advance: Progress) -> Iterator[Part]:
        """The scorer's blocks, of whatever size, with what is written beside them."""
        for block in blocks:
            count = len(block.group) if isinstance(block, SingleGroup) else len(block)
            yield Part(*self._take(count), block)
            advance(count)

    def _take(self, count: int) -> tuple[list[str], np.ndarray]:
        """Ids of the next `count` rows, and which of them are usable."""
        ids: list[str] = []
        good: list[np.ndarray] = []
        while count:
            names, here = self.waiting.popleft()
            ids += names[:count]
            good.append(here[:count])
            if len(names) > count:
                self.waiting.appendleft((names[count:], here[count:]))
            count -= len(good[-1])
        return ids, np.concatenate(good) if good else np.empty(0, dtype=bool)


def _write(groups: list[Group], parts: Iterable[Part], out: Path) -> tuple[int, list[str]]:
    """Writes the groups and the scores; how many rows, and the ids of those not usable."""
    frame = pl.DataFrame(
        [(number, *group) for number, group in enumerate(groups)],
        schema=tables.SCHEMAS["groups"],
        orient="row",
    )
    tables.write("groups", frame, out / "groups.parquet")
    first = 0
    unusable: list[str] = []
    with tables.open_writer("scores", out / "scores.parquet") as put:
        for part in parts:
            put(_frame(part, first))
            unusable += [part.ids[i] for i in np.flatnonzero(~part.usable)]
            first += part.rows
    return first, unusable


def _frame(part: Part, first: int) -> pl.DataFrame:
    """A part of the scores table, from row number `first` on."""
    block = part.block
    scores = block.score[:, None] if isinstance(block, SingleGroup) else block
    scores = np.where(part.usable[:, None], scores, -np.inf).astype(np.float32)
    if np.isnan(scores).any():
        raise ValueError(f"NaN scores after row {first}: a scorer gives −∞ where it has none")
    rows = pl.int_range(first, first + len(scores), eager=True)
    width = pl.Array(pl.Float32, scores.shape[1])
    of = block.group.tolist() if isinstance(block, SingleGroup) else [None] * len(scores)
    columns = {"row": rows, "id": part.ids, "group": pl.Series(of, dtype=pl.Int64)}
    return pl.DataFrame({**columns, "score": pl.Series(scores, dtype=width)})
