"""A budget: in rows, as a share of the pool, or in tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import polars as pl

from dataselect.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TokenBudget:
    """Rows of at most so many tokens together, as they are encoded for training."""

    tokens: int


#: A number of rows, a share of the pool such as "5%", or a number of tokens.
Budget = int | str | TokenBudget


def budget_rows(budget: Budget, pool_rows: int, dropped: pl.DataFrame) -> int:
    """The most rows that a budget can be, for a pool of `pool_rows`.

    A share is rounded down, to at least 1; a budget in tokens may be all rows.

    Args:
        dropped: the table of dropped rows, for the message.

    Raises:
        InputError: more rows than the pool has.
    """
    if isinstance(budget, TokenBudget):
        return pool_rows
    if isinstance(budget, str):
        return share_of(budget, pool_rows)
    if budget > pool_rows:
        duplicates = dropped.filter(pl.col("reason") == "duplicate").height
        others = dropped.height - duplicates
        also = f" and {others} other rows" if others else ""
        raise InputError(
            f"budget: {budget} rows; the pool has {pool_rows} (after removing {duplicates} "
            f"exact duplicates{also}). Lower `budget` in params.yaml to at most {pool_rows}."
        )
    return budget


def budget_label(budget: Budget) -> int | str:
    """A budget as people read it: `300`, "5%", "2000000 tokens"."""
    return f"{budget.tokens} tokens" if isinstance(budget, TokenBudget) else budget


def share_of(budget: str, pool_rows: int) -> int:
    """A share such as "5%" of a pool of `pool_rows`: rounded down, at least 1."""
    return max(1, int(Fraction(budget.removesuffix("%")) / 100 * pool_rows))


def parse_budget(given: Any) -> Budget:
    """A number of rows, a share of the pool as `"5%"`, or `{tokens: 2000000}`.

    Raises:
        InputError: it is neither, or not above 0.
    """
    wrong = InputError(
        "params.yaml: budget: expected a whole number of rows above 0, or a share of the pool "
        f'above 0% and at most 100%, like "5%"; found {given!r:.60}. {_advice(given)}'
    )
    if isinstance(given, dict):
        return _parse_tokens(given)
    if _is_count(given):
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


def _is_count(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given > 0


def _parse_tokens(given: dict) -> TokenBudget:
    if list(given) != ["tokens"] or not _is_count(given["tokens"]):
        raise InputError(
            "params.yaml: budget: expected `{tokens: N}`, N a whole number above 0; found "
            f"{given!r:.60}. Fix it there."
        )
    return TokenBudget(tokens=given["tokens"])


#: What people write behind a number of rows.
UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


def _advice(given: Any) -> str:
    """What to write instead of a budget such as 0.05, `5 %` or `10k`."""
    text = re.sub(r"[\s,_]", "", str(given)).lower()
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)([km%]?)", text)
    if found is None:
        return "Fix it there."
    number, unit = Fraction(found[1]), found[2]
    if unit == "" and 0 < number < 1:
        number, unit = number * 100, "%"
    if unit == "%":
        return f'Write "{float(number):g}%".' if 0 < number <= 100 else "Fix it there."
    rows = number * UNITS[unit]
    return f"Write {rows}." if rows >= 1 and rows.denominator == 1 else "Fix it there."
