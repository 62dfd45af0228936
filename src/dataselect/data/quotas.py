"""How many rows, or tokens, a selection has of every class of sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from dataselect.data import tables
from dataselect.data.mix import MixSettings, divide, group_weights, match_sources, read_bounds
from dataselect.data.scores import Group
from dataselect.errors import InputError

#: The name of class 0 in messages.
OTHERS = "sources without a quota"


class RowTokens(Protocol):
    """Counts the tokens of rows, as few as it is asked for.

    Attributes:
        known: row number → tokens, of the rows that were counted.
    """

    known: dict[int, int]

    def count(self, rows: list[int]) -> None:
        """Counts rows by number; each call may take a pass over the pool."""
        ...


@dataclass(frozen=True)
class Quotas:
    """What an aggregator may choose: the limits of all, and of every class of rows.

    A class is the rows of the sources that a quota stands for; class 0 is all other rows.

    Attributes:
        total: how many rows are chosen; or, with `tokens`, how many tokens they have at most.
        classes: the class of every row of the pool: uint16, n.
        names: of the classes, for messages.
        at_least: class → the rows, or tokens, that it has at least.
        at_most: class → the rows, or tokens, that it has at most.
        tokens: counts the tokens of rows; None: rows are counted themselves.
    """

    total: int
    classes: np.ndarray
    names: list[str]
    at_least: list[int]
    at_most: list[int]
    tokens: RowTokens | None = None

    @property
    def unit(self) -> str:
        """What is counted."""
        return "rows" if self.tokens is None else "tokens"


def read_quotas(
    pool: Path, mix: MixSettings, total: int, tokens: RowTokens | None = None
) -> Quotas:
    """The quotas of `mix.sources` for a pool.

    Args:
        pool: the pool's table.
        total: the budget in rows; with `tokens`, in tokens.

    Raises:
        InputError: a name that is no source, or quotas that the pool cannot meet.
    """
    sources, source_of_row = _read_sources(pool)
    matched = match_sources(mix.sources, sources, "params.yaml: mix.sources")
    numbers = {name: number for number, name in enumerate(mix.sources, start=1)}
    class_of_source = [numbers[matched[name]] if name in matched else 0 for name in sources]
    unit = "rows" if tokens is None else "tokens"
    at_least, at_most = divide(read_bounds(mix.sources), total, unit)
    quotas = Quotas(
        total=total,
        classes=np.asarray(class_of_source, dtype=np.uint16)[source_of_row],
        names=[OTHERS, *mix.sources],
        at_least=[0, *at_least],
        at_most=[total, *at_most],
        tokens=tokens,
    )
    if tokens is None:
        counts = np.bincount(quotas.classes, minlength=len(quotas.names)).tolist()
        check_supply(quotas, counts, "rows in the pool")
    return quotas


def choice_limits(
    mix: MixSettings, pool: Path, groups: list[Group], total: int, tokens: RowTokens | None
) -> dict[str, Any]:
    """What an aggregator is given beside n: `quotas`, `weights`; nothing where nothing limits it.

    Args:
        groups: the columns of S.
        total: the budget in rows; with `tokens`, in tokens.
    """
    if tokens is None and not mix.sources and not mix.tasks:
        return {}
    quotas = {"quotas": read_quotas(pool, mix, total, tokens)}
    return quotas | ({"weights": group_weights(mix.tasks, groups)} if mix.tasks else {})


def check_sources(pool: Path, mix: MixSettings, rows: int | None) -> None:
    """Checks what is known before rows are scored: the names in `mix`, and quotas in rows.

    Args:
        rows: the budget; None where it is in tokens.

    Raises:
        InputError: a name that is no source of the pool, or quotas that it cannot meet.
    """
    epochs_by_source(pool, mix.epochs)
    if rows is not None:
        read_quotas(pool, mix, rows)
    else:
        sources, _ = _read_sources(pool)
        match_sources(mix.sources, sources, "params.yaml: mix.sources")


def epochs_by_source(pool: Path, epochs: Mapping[str, int]) -> dict[str, int]:
    """Source → how many times its rows stand in the training file, where `mix.epochs` says so.

    Raises:
        InputError: a name that is no source of the pool.
    """
    if not epochs:
        return {}
    sources = (
        pl.scan_parquet(pool, glob=False)
        .select(pl.col("source").unique())
        .collect()["source"]
        .to_list()
    )
    matched = match_sources(epochs, sources, "params.yaml: mix.epochs")
    return {source: epochs[name] for source, name in matched.items()}


def check_supply(quotas: Quotas, supply: Sequence[int], kind: str) -> None:
    """Refuses quotas that a number of rows, or tokens, of every class cannot meet.

    Args:
        supply: class → how many there are.
        kind: what they are, for the message: "candidates".

    Raises:
        InputError: a class has fewer than its minimum, or all together are fewer than the budget.
    """
    for name, least, count in zip(quotas.names, quotas.at_least, supply, strict=True):
        if count < least:
            raise InputError(
                f"params.yaml: mix.sources: {name}: {least:,} {quotas.unit} wanted, {count:,} "
                f"{kind}. Lower its number, or `budget`."
            )
    usable = [min(pair) for pair in zip(supply, quotas.at_most, strict=True)]
    if sum(usable) < quotas.total and len(usable) > 1:
        parts = zip(quotas.names, usable, strict=True)
        raise InputError(
            f"params.yaml: mix.sources: {quotas.total:,} {quotas.unit} wanted; quotas and "
            f"{kind.split(' in ')[0]} allow {sum(usable):,} "
            f"({', '.join(f'{name}: {count:,}' for name, count in parts)}). Raise `at_most`, or "
            "lower `budget`."
        )


def _read_sources(pool: Path) -> tuple[list[str], np.ndarray]:
    """The pool's sources, and for every row the number of its own (uint32, n)."""
    numbers: dict[str, int] = {}
    blocks = []
    for block in tables.iter_batches("pool", pool, columns=["source"]):
        names = block["source"]
        for name in names.unique(maintain_order=True).to_list():
            numbers.setdefault(name, len(numbers))
        blocks.append(names.replace_strict(numbers, return_dtype=pl.UInt32).to_numpy())
    return list(numbers), np.concatenate(blocks) if blocks else np.empty(0, np.uint32)
