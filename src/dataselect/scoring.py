"""features → the score matrix: reads shards and tables, writes `scores` and `groups`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dataselect import report, shards, tables
from dataselect.errors import InputError, some
from dataselect.matrix import Block, Group, Parts, Pool, Queries, Rows, finite
from dataselect.settings import function, said


@dataclass
class Scored:
    """What scoring did: the groups, the number of rows, and the rows without usable features."""

    groups: list[Group]
    rows: int
    unusable: list[str] = field(default_factory=list)


def score(section: dict[str, Any], out: Path, features: Path) -> Scored:
    """Streams the pool through the plan's scorer into `scores.parquet` and `groups.parquet`.

    A row with a NaN or an infinite number among what the scorer looks at is no candidate.

    Args:
        section: the plan's `score`.
        out: the folder of the pool and of what is written.
        features: the folder of the features; empty for a method without.

    Raises:
        InputError: such a number in a query.
    """
    scorer = section["scorer"]
    of = function("scorers", scorer["name"], "plan.json")
    names = said("scorers", scorer, "needs")
    table = out / "pool.parquet"
    sources = pl.scan_parquet(table).select("source").unique().collect()["source"]
    height = tables.height(table)
    settings = dict(scorer["settings"])
    if "groups" in settings:
        settings["queries"] = _queries(out / "queries.parquet", features / "queries", names)
    with report.progress("score", height) as advance:
        stream = _Stream(table, features / "pool", names)
        scores = of(Pool(height, sorted(sources), stream), **settings)
        rows = _write(scores.groups, scores.blocks, stream, out, advance)
    if rows != height:
        raise ValueError(f"the scorer `{scorer['name']}` gave {rows} rows of {height}")
    return Scored(scores.groups, height, stream.unusable)


def _queries(table: Path, features: Path, names: tuple[str, ...]) -> Queries:
    frame = tables.read("queries", table)
    arrays = shards.read_all(features)
    wrong = frame["id"].filter(pl.Series(~finite(arrays, names))).to_list()
    if wrong:
        raise InputError(
            f"queries.path: {len(wrong)} queries have NaN or infinite features: {some(wrong)}. "
            "Give them an answer, leave them out, or set the model's `dtype: float32` if it "
            "overflows."
        )
    columns = (frame[name].to_list() for name in ("task", "id", "subtask"))
    task, name, subtask = columns
    return Queries(task, name, arrays, subtask)


class _Stream:
    """The pool's rows with their features, a shard at a time, read once.

    Remembers what is written beside the scores: the ids of blocks that a scorer has taken and
    whose scores it has not given yet, and which of their rows are usable.
    """

    def __init__(self, table: Path, features: Path, names: tuple[str, ...]) -> None:
        self.table, self.features, self.names = table, features, names
        self.waiting: deque[tuple[list[str], np.ndarray]] = deque()
        self.unusable: list[str] = []

    def __iter__(self) -> Iterator[Rows]:
        for rows in self._rows():
            usable = np.ones(len(rows.id), dtype=bool)
            if self.names:
                usable &= finite(rows.features, self.names)
            self.unusable += [rows.id[i] for i in np.flatnonzero(~usable)]
            self.waiting.append((rows.id, usable))
            yield rows

    def _rows(self) -> Iterator[Rows]:
        """Blocks of a shard each, or of 65,536 rows where there are no features."""
        size = shards.height(self.features)
        blocks = tables.blocks("pool", self.table, size or 65_536, columns=["id", "source"])
        if size is None:
            for block in blocks:
                yield Rows(block["id"].to_list(), block["source"].to_list())
            return
        for block, arrays in zip(blocks, shards.read(self.features), strict=True):
            yield Rows(block["id"].to_list(), block["source"].to_list(), arrays)

    def take(self, count: int) -> tuple[list[str], np.ndarray]:
        """Ids of the next `count` rows, and which of them are usable."""
        ids: list[str] = []
        usable: list[np.ndarray] = []
        while count:
            names, good = self.waiting.popleft()
            ids += names[:count]
            usable.append(good[:count])
            if len(names) > count:
                self.waiting.appendleft((names[count:], good[count:]))
            count -= len(usable[-1])
        return ids, np.concatenate(usable) if usable else np.empty(0, dtype=bool)


def _write(
    groups: list[Group], blocks: Iterator[Block], stream: _Stream, out: Path, advance: Any
) -> int:
    frame = pl.DataFrame(
        [(number, *group) for number, group in enumerate(groups)],
        schema=tables.SCHEMAS["groups"],
        orient="row",
    )
    tables.write("groups", frame, out / "groups.parquet")
    first = 0
    with tables.writing("scores", out / "scores.parquet") as put:
        for block in blocks:
            scores = block.score[:, None] if isinstance(block, Parts) else block
            ids, usable = stream.take(len(scores))
            scores = np.where(usable[:, None], scores, -np.inf).astype(np.float32)
            if np.isnan(scores).any():
                raise ValueError(
                    f"NaN scores after row {first}: a scorer gives −∞ where it has none"
                )
            rows = pl.int_range(first, first + len(scores), eager=True)
            width = pl.Array(pl.Float32, scores.shape[1])
            of = block.group.tolist() if isinstance(block, Parts) else [None] * len(scores)
            columns = {"row": rows, "id": ids, "group": pl.Series(of, dtype=pl.Int64)}
            put(pl.DataFrame({**columns, "score": pl.Series(scores, dtype=width)}))
            first += len(scores)
            advance(len(scores))
    return first
