"""What figures are drawn of: runs, what is found of them, and names for their methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dataselect.compare.comparison import Comparison, compare_runs
from dataselect.compare.outputs import find_output
from dataselect.compare.recorded import Run
from dataselect.compare.scores import Condition
from dataselect.data import tables
from dataselect.errors import InputError, first_few
from dataselect.figures.figure import MissingData


@dataclass(frozen=True)
class Pool:
    """A pool that runs have chosen from.

    Attributes:
        name: its number of rows, as text; empty where that is not known.
        rows: their number; None where the table is gone.
        runs: those of this pool.
    """

    name: str
    rows: int | None
    runs: list[Run]


@dataclass(frozen=True)
class Material:
    """Runs that finished, and how they are to be compared.

    Attributes:
        runs: as given, without those that have a problem.
        baseline, shared, model: as for `compare_runs`.
        label: a column of the pool that the purity of clusters is measured by.
    """

    runs: list[Run]
    baseline: str | None = None
    shared: bool = False
    model: str | None = None
    label: str = "source"

    @cached_property
    def pools(self) -> list[Pool]:
        """The pools of the runs, the smallest first."""
        groups: dict[str, list[Run]] = {}
        for run in self.runs:
            groups.setdefault(run.outs.get("out/pool.parquet", ""), []).append(run)
        found = []
        for runs in groups.values():
            path = next((p for run in runs if (p := find_output(run, "pool.parquet"))), None)
            rows = tables.row_count(path) if path else None
            found.append(Pool("" if rows is None else f"{rows:,} rows", rows, runs))
        return sorted(found, key=lambda pool: pool.rows or 0)

    @cached_property
    def comparisons(self) -> list[tuple[Pool, Comparison]]:
        """What is found of the runs of each pool, by task.

        Raises:
            MissingData: they cannot be compared.
        """
        try:
            found = [(pool, self._compare(pool.runs)) for pool in self.pools]
        except InputError as error:
            raise MissingData(f"the runs cannot be compared: {error}") from None
        if not found:
            raise MissingData("there is no run that finished")
        return found

    def _compare(self, runs: list[Run]) -> Comparison:
        return compare_runs(
            runs, self.baseline, shared=self.shared, model=self.model, per_task=True
        )

    @cached_property
    def conditions(self) -> dict[Condition, list[Run]]:
        """The runs of each method and budget, in the order of their seeds."""
        found: dict[Condition, list[Run]] = {}
        for run in sorted(self.runs, key=lambda run: run.seed or 0):
            found.setdefault((run.method or run.name, run.budget), []).append(run)
        return {condition: found[condition] for condition in self._in_order(found)}

    def _in_order(self, found: dict[Condition, list[Run]]) -> list[Condition]:
        """By method as given, then by budget."""
        methods = list(dict.fromkeys(run.method or run.name for run in self.runs))

        def place(condition: Condition) -> tuple[int, bool, int, str]:
            method, budget = condition
            rows = budget if isinstance(budget, int) else 0
            return methods.index(method), rows == 0, rows, str(budget)

        return sorted(found, key=place)

    def name(self, condition: Condition) -> str:
        """What a method is called in figures: with its budget only where there are several."""
        method, budget = shortened(condition[0]), condition[1]
        if budget is None or len({budget for _, budget in self.conditions}) < 2:
            return method
        return f"{method} {budget:,}" if isinstance(budget, int) else f"{method} {budget}"


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
