"""A budget in rows."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.data import tables
from dataselect.errors import InputError


def budget_rows(budget: int | str, height: int, dropped: pl.DataFrame) -> int:
    """How many rows a budget is, of a pool of so many; a share is rounded down, to at least 1.

    Raises:
        InputError: more rows than the pool has.
    """
    if isinstance(budget, str):
        return share_of(budget, height)
    if budget > height:
        twice = dropped.filter(pl.col("reason").str.starts_with("duplicate of ")).height
        other = dropped.height - twice
        also = f" and {other} other rows" if other else ""
        raise InputError(
            f"budget: {budget} rows asked of a pool of {height} (after removing {twice} exact "
            f"duplicates{also}). Lower `budget` in params.yaml to at most {height}."
        )
    return budget


def check_budget(out: Path) -> None:
    """Refuses what aggregate would, before it costs; the budget changes nothing of what is done.

    Raises:
        InputError: more rows than the pool has.
    """
    given = json.loads(Path("plan.json").read_text())["aggregate"]["budget"]
    budget_rows(
        given,
        tables.row_count(out / "pool.parquet"),
        tables.read("dropped", out / "dropped.parquet"),
    )


def share_of(budget: str, height: int) -> int:
    """How many of so many rows a share such as "5%" is: rounded down, at least 1."""
    return max(1, int(Fraction(budget.removesuffix("%")) / 100 * height))


def parse_budget(given: Any) -> int | str:
    """A number of rows, or a share of the pool as `"5%"`.

    Raises:
        InputError: it is neither, or not above 0.
    """
    wrong = InputError(
        "params.yaml: budget: expected a whole number of rows above 0, or a share of the pool "
        f'above 0% and at most 100%, like "5%"; found {given!r:.60}. Mend it there.'
    )
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return given
    if not isinstance(given, str) or not given.endswith("%"):
        raise wrong
    try:
        share = float(given.removesuffix("%"))
    except ValueError:
        raise wrong from None
    if not 0 < share <= 100:
        raise wrong
    return given
