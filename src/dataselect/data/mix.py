"""How a selection is divided among sources and tasks: the block `mix` of params.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from dataselect.data.scores import Group
from dataselect.errors import InputError, did_you_mean, first_few
from dataselect.settings import PositiveInt


@dataclass(frozen=True, kw_only=True)
class MixSettings:
    """The block `mix`.

    Attributes:
        sources: how many of the chosen rows are of a source, or of the sources that a pattern like
            `science*` matches: a number or a share such as "30%", or `{at_least: …, at_most: …}`;
            other sources share the rest as the method does. With a budget in tokens, tokens.
        tasks: how many turns the groups of a task have for each turn of the others, which have 1.
        epochs: how many times a source's rows stand in the training file; others stand there once.
    """

    sources: dict[str, Any] = field(default_factory=dict)  # see `read_bounds`
    tasks: dict[str, float] = field(default_factory=dict)
    epochs: dict[str, PositiveInt] = field(default_factory=dict)


class Bounds(NamedTuple):
    """What a source gets: numbers (int), or shares of the budget (Fraction); None is no limit."""

    at_least: int | Fraction
    at_most: int | Fraction | None


def read_bounds(sources: Mapping[str, Any]) -> dict[str, Bounds]:
    """The values of `mix.sources`.

    Raises:
        InputError: one is no amount, or the shares cannot all be met whatever the budget is.
    """
    bounds = {name: _read_bounds(given, name) for name, given in sources.items()}
    minimums = [bound.at_least for bound in bounds.values()]
    shares = sum(minimum for minimum in minimums if isinstance(minimum, Fraction))
    numbers = sum(minimum for minimum in minimums if isinstance(minimum, int))
    if shares > 1 or (shares == 1 and numbers):
        also = f", and {numbers} more are to be of others" if numbers else ""
        raise InputError(
            f"params.yaml: mix.sources: expected minimums of at most 100% together; found "
            f"{float(100 * shares):g}%{also}. Lower them, or set `at_most` instead."
        )
    return bounds


def _read_bounds(given: Any, name: str) -> Bounds:
    where = f"params.yaml: mix.sources.{name}"
    if not isinstance(given, Mapping):
        amount = _read_amount(given, where)
        return Bounds(amount, amount)
    for key in given:
        if key not in ("at_least", "at_most"):
            hint = did_you_mean(key, ("at_least", "at_most"))
            raise InputError(f"{where}: unknown setting `{key}`. {hint}")
    if not given:
        raise InputError(f"{where}: expected `at_least`, `at_most` or both; found none. Add them.")
    amounts = {key: _read_amount(value, f"{where}.{key}") for key, value in given.items()}
    bounds = Bounds(amounts.get("at_least", 0), amounts.get("at_most"))
    if type(bounds.at_least) is type(bounds.at_most) and bounds.at_least > (bounds.at_most or 0):
        raise InputError(
            f"{where}: at_least ({given['at_least']}) is above at_most ({given['at_most']}). "
            "Fix one of the two."
        )
    return bounds


def _read_amount(given: Any, where: str) -> int | Fraction:
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    try:
        if isinstance(given, str) and given.endswith("%"):
            share = Fraction(given.removesuffix("%")) / 100
            if 0 <= share <= 1:
                return share
    except (ValueError, ZeroDivisionError):
        pass
    raise InputError(
        f'{where}: expected a whole number from 0 on, or a share of the budget like "30%"; found '
        f"{given!r:.60}. Fix it there."
    )


def divide(bounds: Mapping[str, Bounds], total: int, unit: str) -> tuple[list[int], list[int]]:
    """The least and the most of every quota, for a budget of `total` rows or tokens.

    Shares are rounded down. Minimums, and the two that are equal, lose nothing together: what
    rounding takes from them goes to the largest remainders, of equals to the first.

    Raises:
        InputError: the minimums are above the budget, or one is above its maximum.
    """
    wanted = [
        bound.at_least * total if isinstance(bound.at_least, Fraction) else Fraction(bound.at_least)
        for bound in bounds.values()
    ]
    at_least = [int(amount) for amount in wanted]
    missing = int(sum(wanted)) - sum(at_least)
    by_remainder = sorted(range(len(wanted)), key=lambda i: at_least[i] - wanted[i])
    for i in by_remainder[:missing]:
        at_least[i] += 1
    if sum(at_least) > total:
        raise InputError(
            f"params.yaml: mix.sources: the minimums add up to {sum(at_least):,} {unit}; the "
            f"budget is {total:,}. Lower them, or raise `budget`."
        )
    at_most = [
        _maximum(name, bound, least, total)
        for (name, bound), least in zip(bounds.items(), at_least, strict=True)
    ]
    return at_least, at_most


def _maximum(name: str, bound: Bounds, least: int, total: int) -> int:
    """The maximum of a quota whose minimum is `least`."""
    if bound.at_most is None:
        return total
    if bound.at_most == bound.at_least and type(bound.at_most) is type(bound.at_least):
        return least
    highest = int(bound.at_most * total) if isinstance(bound.at_most, Fraction) else bound.at_most
    if highest >= least:
        return min(highest, total)
    if isinstance(bound.at_most, Fraction) and isinstance(bound.at_least, Fraction):
        return least  # only rounding set them apart
    raise InputError(
        f"params.yaml: mix.sources.{name}: with this budget at_least is {least:,} and at_most "
        f"{highest:,}. Fix one of the two."
    )


def match_sources(patterns: Iterable[str], sources: Iterable[str], where: str) -> dict[str, str]:
    """Source → the name or pattern that stands for it; a source's own name before patterns.

    Args:
        patterns: names of sources, or patterns as in a shell: `*`, `?`, `[…]`.
        sources: the pool's.
        where: the setting, for messages.

    Raises:
        InputError: a pattern matches no source, or two match one.
    """
    patterns, sources = list(patterns), sorted(set(sources))
    matched: dict[str, str] = {}
    for source in sources:
        fitting = [name for name in patterns if name == source]
        fitting = fitting or [name for name in patterns if fnmatchcase(source, name)]
        if len(fitting) > 1:
            raise InputError(
                f"{where}: the source `{source}` is matched by {first_few(fitting)}. Expected one. "
                f"Add `{source}` by its name, or change the patterns."
            )
        if fitting:
            matched[source] = fitting[0]
    for name in patterns:
        if name not in matched.values():
            raise InputError(
                f"{where}: `{name}` is no source of the pool: none has that name, all its rows "
                f"were dropped, or other entries name all that match. {did_you_mean(name, sources)}"
            )
    return matched


def group_weights(tasks: Mapping[str, float], groups: list[Group]) -> np.ndarray:
    """The turns of every group for one of a group of weight 1: its task's weight (float64, g).

    Raises:
        InputError: no group belongs to a task that is named.
    """
    names = sorted({group.task for group in groups if group.task is not None})
    for name in tasks:
        if name not in names:
            hint = did_you_mean(name, names) if names else "Its groups belong to no task."
            raise InputError(
                f"params.yaml: mix.tasks: the method has no groups of a task `{name}`. {hint}"
            )
    return np.asarray([tasks.get(group.task or "", 1.0) for group in groups], dtype=np.float64)


def training_order(sources: list[str], times: Mapping[str, int]) -> np.ndarray:
    """The places of the chosen rows in the training file: all, then all that come again, and so on.

    Args:
        sources: the source of every chosen row, best first.
        times: source → how many times its rows stand there; 1 where it is not named.

    Returns:
        Positions in `sources`: int64.
    """
    counts = np.asarray([times.get(source, 1) for source in sources], dtype=np.int64)
    passes = [np.flatnonzero(counts > done) for done in range(counts.max(initial=1))]
    return np.concatenate(passes)
