"""Ends the run where too large a share of the raw pool cannot be used."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from dataselect.dedup.read import RawRow
from dataselect.errors import InputError

#: How many rows a message shows, and how many characters of each.
SHOWN, SHOWN_CHARACTERS = 3, 160

#: Why a row with tools is left out where `model.chat` is not `model`.
NO_FORM = "tool use, for which the chat format has no form"


class UnusableRows:
    """Counts the rows that cannot be used, by reason, and keeps the first."""

    def __init__(self) -> None:
        self._read = 0
        self._reasons: Counter[str] = Counter()
        self._first: list[str] = []

    def count_usable(self, rows: int) -> None:
        """Counts rows that can be used."""
        self._read += rows

    def count(self, read: Callable[[], RawRow], reason: str, detail: str | None) -> None:
        """Counts a row that cannot be used.

        Args:
            read: a function that reads the row; called for the first few only.
            reason: why it cannot be used.
            detail: more about it.
        """
        self._read += 1
        self._reasons[reason] += 1
        if len(self._first) < SHOWN:
            raw, why = read(), f"{reason}: {detail}" if detail else reason
            self._first.append(f"  {raw.place}: {why}{_beginning(raw)}")

    def check(self, limit: float) -> None:
        """Checks the share of unusable rows among those counted.

        Raises:
            InputError: it is above the limit.
        """
        unusable = self._reasons.total()
        if unusable <= limit * self._read:
            return
        counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self._reasons.items()))
        share = f"{unusable:,} of {self._read:,} rows ({unusable / self._read:.0%})"
        first = "\n".join(self._first)
        tools = (
            "set `model: {chat: model}` for rows with tools, " if NO_FORM in self._reasons else ""
        )
        raise InputError(
            f"pool.path: {share} cannot be used; `pool.most_dropped` allows a share of {limit:g}. "
            f"Found {counts}. The first rows:\n{first}\nFix the rows, {tools}name their columns in "
            "`pool.columns`, or raise `pool.most_dropped` (at most 1) in params.yaml."
        )


def _beginning(raw: RawRow) -> str:
    """A row's beginning as JSON, in a line of its own; nothing of a row that is none."""
    if not isinstance(raw.record, dict):
        return ""
    # Of a parquet file, columns that are not read have no value.
    values = {name: value for name, value in raw.record.items() if value is not None}
    text = json.dumps(values, ensure_ascii=False, default=str)
    text = text.encode(
        errors="backslashreplace"
    ).decode()  # half a surrogate pair cannot be printed
    more = " …" if len(text) > SHOWN_CHARACTERS else ""
    return f"\n    {text[:SHOWN_CHARACTERS]}{more}"
