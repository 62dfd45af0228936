"""What is read of a run's outputs to explain a row: as little of each file as that takes."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.ask.budgets import Rule
from dataselect.data import tables
from dataselect.data.budget import share_of
from dataselect.data.scores import Group
from dataselect.errors import InputError

#: Ids among which the nearest to an unknown one are looked for.
SAMPLED_IDS = 4_000
#: Rows that are read at a time to find some of them.
BATCH = 8_192


@dataclass(frozen=True)
class RunFiles:
    """A folder of outputs, such as `out/`."""

    folder: Path

    def path(self, name: str) -> Path:
        """The file of a table."""
        return self.folder / f"{name}.parquet"

    def has(self, name: str) -> bool:
        """Whether a table is there."""
        return self.path(name).is_file()

    def scan(self, name: str) -> pl.LazyFrame:
        """A table, read as far as a query needs it; empty where there is none."""
        if self.has(name):
            return pl.scan_parquet(self.path(name), glob=False)
        return tables.empty(name).lazy()

    @cached_property
    def plan(self) -> dict[str, Any]:
        """The plan of the run, which is in the folder or in the one above; {} without."""
        for folder in (self.folder, self.folder.absolute().parent):
            if (folder / "plan.json").is_file():
                return json.loads((folder / "plan.json").read_text())
        return {}

    @property
    def note(self) -> str | None:
        """A warning, where the selection is not that of plan.json and dvc.lock; else None."""
        from dataselect.compare.outputs import md5
        from dataselect.compare.recorded import FILES, LOCK, recorded_run

        home, path = self.folder.absolute().parent, self.path("selection")
        if self.folder.name != "out" or not (home / LOCK).is_file() or not path.is_file():
            return None
        files = {name: (home / name).read_bytes() if (home / name).is_file() else None
                 for name in FILES}  # fmt: skip
        listed = recorded_run("workspace", files, home).outputs.get(f"out/{path.name}")
        if listed == md5(path.read_bytes()):
            return None
        return (
            f"Warning: {path} is not of the run that plan.json and dvc.lock are of, and what "
            "follows may be of both. Run `dvc checkout`, `dvc exp apply NAME` or `dvc repro`."
        )

    @cached_property
    def groups(self) -> list[Group]:
        """The columns of S."""
        table = self.scan("groups").collect()
        return [Group(*row) for row in table.select("name", "task", "parent").iter_rows()]

    @cached_property
    def selection(self) -> pl.DataFrame:
        """The chosen rows."""
        return self.scan("selection").collect()

    @cached_property
    def rule(self) -> Rule:
        """How rows were chosen, if the plan is that of this selection."""
        section = self.plan.get("aggregate", {})
        budget = section.get("budget")
        if not section or (self.has("pool") and not self._is_of(budget)):
            return Rule(None)
        mix = section.get("mix") or {}
        limited = isinstance(budget, dict) or bool(mix.get("sources") or mix.get("tasks"))
        part = section["aggregator"]
        return Rule(part["name"], budget, limited, part["settings"])

    def _is_of(self, budget: Any) -> bool:
        """Whether so many rows as a budget asks for are chosen; a plan may be another run's."""
        if isinstance(budget, dict):
            return True
        if isinstance(budget, str):
            budget = share_of(budget, tables.row_count(self.path("pool")))
        return budget == self.selection.height

    def find(self, wanted: str) -> int | None:
        """The number of the pool row with an id, or with a number (`12` or `#12`); else None.

        Raises:
            InputError: there is no pool.
        """
        if not self.has("pool"):
            raise InputError(
                f"{self.path('pool')} is not there. Run `dvc repro` first, or bring a run back: "
                "`dvc exp apply NAME`; or name another folder: --out FOLDER."
            )
        # Rows are counted, which is faster than to read the column `row` too.
        ids = pl.scan_parquet(self.path("pool"), row_index_name="number", glob=False)
        found = ids.filter(pl.col("id") == wanted).select("number").head(1).collect()
        if found.height:
            return found.item()
        number = wanted.removeprefix("#")
        known = number.isdecimal() and int(number) < tables.row_count(self.path("pool"))
        return int(number) if known else None

    def pool_rows(self, numbers: list[int]) -> dict[int, dict[str, Any]]:
        """Rows of the pool by number; only the parts of the file that hold them are read."""
        import pyarrow.parquet as pq

        columns, rows = ["row", "id", "source", "messages"], {}
        with pq.ParquetFile(self.path("pool"), pre_buffer=False) as file:
            first, wanted = 0, sorted(set(numbers))
            for place in range(file.num_row_groups):
                end = first + file.metadata.row_group(place).num_rows
                inside = [number for number in wanted if first <= number < end]
                if inside:
                    rows |= _rows(file.iter_batches(BATCH, [place], columns), first, inside)
                first = end
        return rows

    def near_ids(self, wanted: str) -> list[str]:
        """Ids that are like an unknown one, from those that begin alike and from a sample."""
        ids = pl.concat([self.scan(name).select("id") for name in ("pool", "dropped")])
        half = wanted[: max(1, len(wanted) // 2)]
        alike = ids.filter(pl.col("id").str.starts_with(half)).head(SAMPLED_IDS)
        step = max(1, ids.select(pl.len()).collect().item() // SAMPLED_IDS)
        names = pl.concat([alike, ids.gather_every(step).head(SAMPLED_IDS)]).collect()["id"]
        return difflib.get_close_matches(wanted, names.unique().sort().to_list(), n=3)


def _rows(batches: Iterable[Any], first: int, wanted: list[int]) -> dict[int, dict[str, Any]]:
    """Rows by number from batches that begin with row `first`; reads no further than the last."""
    rows: dict[int, dict[str, Any]] = {}
    for batch in batches:
        end = first + batch.num_rows
        for number in wanted:
            if first <= number < end:
                rows[number] = batch.slice(number - first, 1).to_pylist()[0]
        first = end
        if wanted[-1] < end:
            break
    return rows
