"""What figures are drawn of: runs, what is found of them, and names for their methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from dataselect.compare.comparison import Comparison, Row, compare_runs
from dataselect.compare.outputs import find_output
from dataselect.compare.recorded import Run
from dataselect.compare.together import without_copies
from dataselect.data import tables
from dataselect.errors import InputError, first_few
from dataselect.figures.figure import MissingData


@dataclass(frozen=True)
class Pool:
    """A pool that runs have chosen from.

    Attributes:
        name: what tells it from others, such as its number of rows; empty where there is one pool.
        rows: their number; None where the table is gone.
        runs: those of this pool.
    """

    name: str
    rows: int | None
    runs: list[Run]


class Variant(NamedTuple):
    """What runs are repeats of: a method, its budget, and the name of its pool."""

    method: str
    budget: int | str | None
    pool: str


@dataclass(frozen=True)
class Material:
    """Runs that finished, and how they are to be compared.

    Attributes:
        runs: as given, without those that have a problem.
        baseline, shared: as for `compare_runs`.
        label: a column of the pool that the purity of clusters is measured by.
    """

    runs: list[Run]
    baseline: str | None = None
    shared: bool = False
    label: str = "source"

    @cached_property
    def pools(self) -> list[Pool]:
        """The pools of the runs, the smallest first; each run once.

        Raises:
            InputError: two runs of one method, budget and seed are not the same run.
        """
        groups: dict[tuple[int | None, int], list[Run]] = {}
        for run in self.runs:
            path = find_output(run, "pool.parquet")
            key = (tables.row_count(path), path.stat().st_size) if path else (None, 0)
            groups.setdefault(key, []).append(run)
        ordered = sorted(groups.items(), key=lambda item: item[0][0] or 0)
        names = _pool_names([rows for (rows, _), _ in ordered])
        return [
            Pool(name, rows, without_copies(runs))
            for name, ((rows, _), runs) in zip(names, ordered, strict=True)
        ]

    @cached_property
    def comparisons(self) -> list[tuple[Pool, Comparison]]:
        """What is found of the runs of each pool, by task.

        Raises:
            MissingData: they cannot be compared.
        """
        try:
            found = [(pool, self._compare(pool.runs)) for pool in self.pools]
        except InputError as error:
            reason = str(error).removesuffix(".")
            raise MissingData(f"the runs cannot be compared: {reason}") from None
        if not found:
            raise MissingData("there is no run that finished")
        if len({tuple((r.task, r.tests) for r in _of_first(c.rows)) for _, c in found}) > 1:
            raise MissingData("the runs of different pools have other tests")
        return found

    def _compare(self, runs: list[Run]) -> Comparison:
        return compare_runs(runs, self.baseline, shared=self.shared, per_task=True)

    @cached_property
    def conditions(self) -> dict[Variant, list[Run]]:
        """The runs of each method, budget and pool, in the order of their seeds.

        By pool, by method as given, then by budget.
        """
        methods = list(dict.fromkeys(run.method or run.name for run in self.runs))

        def place(run: Run) -> tuple[int, bool, int, str, int]:
            rows = run.budget if isinstance(run.budget, int) else 0
            method = methods.index(run.method or run.name)
            return method, rows == 0, rows, str(run.budget), run.seed or 0

        found: dict[Variant, list[Run]] = {}
        for pool in self.pools:
            for run in sorted(pool.runs, key=place):
                variant = Variant(run.method or run.name, run.budget, pool.name)
                found.setdefault(variant, []).append(run)
        return found

    def name(self, variant: Variant, limit: int = 34, between: str = " ") -> str:
        """What a method is called in figures: with budget and pool only where there are several.

        Args:
            limit: the method's longest name, in characters.
            between: what stands behind the method; a new line for the title of a panel.
        """
        method, budget, pool = variant
        several = len({budget for _, budget, _ in self.conditions}) > 1
        count = f"{budget:,}" if isinstance(budget, int) else budget
        shown = str(count) if several and count is not None else ""
        if pool and not shown and between == " ":
            between = ", "
        rest = ", ".join(text for text in (shown, pool) if text)
        return f"{shortened(method, limit)}{between}{rest}" if rest else shortened(method, limit)


def _pool_names(counts: list[int | None]) -> list[str]:
    """What tells pools apart: their rows, and a number where others have as many; "" if alone."""
    if len(counts) == 1:
        return [""]
    names = ["pool unknown" if rows is None else f"pool of {rows:,}" for rows in counts]
    return [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _of_first(rows: list[Row]) -> list[Row]:
    """The rows of the first method alone."""
    return [row for row in rows if row.condition == rows[0].condition]


def distinct(rows: list[dict[str, Any]], key: str) -> list[str]:
    """The texts that records have under a key, each once, in their order."""
    return list(dict.fromkeys(str(row[key]) for row in rows))


def shortened(name: str, limit: int = 34) -> str:
    """A name without its middle, where it is long: beginnings and ends tell names apart."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 13]}…{name[-12:]}"


def output(run: Run, name: str) -> Path:
    """A file of a run's outputs.

    Raises:
        MissingData: it is gone.
    """
    path = find_output(run, name)
    if path is None:
        raise MissingData(f"out/{name} of {run.name} is gone from DVC's cache")
    return path


def listed(names: Sequence[str], limit: int) -> str:
    """A sentence on what a figure leaves out, to end its caption; empty where it has all."""
    left = names[limit:]
    return f" Left out for want of space: {first_few(left)}." if left else ""
