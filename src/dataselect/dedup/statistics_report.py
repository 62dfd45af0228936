"""The pool's statistics as plots, figures and a printed table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dataselect import report
from dataselect.data.inert import write_plot
from dataselect.dedup.statistics import PoolStatistics

#: Sources that are printed, and drawn; what is left is one line.
SOURCES_PRINTED, SOURCES_DRAWN = 12, 40

#: Numbers of turns, and languages, that are printed, and drawn.
SHARES_PRINTED, SHARES_DRAWN = 4, 12

#: The smallest share that is printed by itself.
SMALLEST_PRINTED = 0.005


def figures(statistics: PoolStatistics) -> dict[str, Any]:
    """What `metrics/dedup.json` notes of a pool."""
    noted = {"tokens": statistics.tokens, "measured_rows": statistics.measured}
    noted["turns"] = {str(turns): rows for turns, rows in statistics.turns.items()}
    return noted | ({"languages": statistics.languages} if statistics.languages else {})


def write_plots(
    statistics: PoolStatistics, read: int, dropped: Mapping[str, int], folder: Path
) -> None:
    """Writes what `dvc plots` draws: sources, lengths, turns, and what became of the rows.

    Args:
        read: the rows of the files.
        dropped: reason → rows.
    """
    becomes = {"in the pool": statistics.rows, **dropped}
    write_plot(folder / "pool_sources.json", _source_bars(statistics))
    write_plot(folder / "pool_lengths.json", _length_bars(statistics))
    write_plot(folder / "pool_dropped.json", _bars("rows", becomes, read))
    write_plot(folder / "pool_turns.json", _turn_bars(statistics))


def _bars(name: str, counts: Mapping[str, int], total: int) -> list[dict[str, Any]]:
    return [{name: key, "share": round(rows / total, 6)} for key, rows in counts.items()]


def _source_bars(statistics: PoolStatistics) -> list[dict[str, Any]]:
    """Every source's share of the rows, and of the tokens where they are counted."""
    bars = []
    total = sum(tokens or 0 for _, _, tokens in _sources(statistics, SOURCES_DRAWN))
    for source, rows, tokens in _sources(statistics, SOURCES_DRAWN):
        bars.append({"source": source, "share": round(rows / statistics.rows, 6), "of": "rows"})
        if tokens is not None and total:
            bars.append({"source": source, "share": round(tokens / total, 6), "of": "tokens"})
    return bars


def _length_bars(statistics: PoolStatistics) -> list[dict[str, Any]]:
    """The shares of rows in ranges of length, each half an octave, from the shortest row on."""
    unit = "tokens" if statistics.tokens is not None else "characters"
    shortest, longest = statistics.lengths[[0, -1]].tolist()
    # 0, 1, 2, 3, 4, 6, 8, 12, 16, 23, 32 …: the whole numbers from the roots of powers of two on.
    roots = {math.isqrt(2**power - 1) + 1 for power in range(2 * longest.bit_length() + 1)}
    edges = sorted({0, *roots})
    counts, _ = np.histogram(statistics.lengths, edges)
    bars = {}
    for low, end, rows in zip(edges[:-1], edges[1:], counts.tolist(), strict=True):
        if end > shortest and low <= longest:
            name = f"{low:,}" if end == low + 1 else f"{low:,} to {end - 1:,}"
            bars[f"{name} {unit}"] = rows
    return _bars("length", bars, statistics.measured)


def _turn_bars(statistics: PoolStatistics) -> list[dict[str, Any]]:
    """The shares of rows with a number of turns; and, where asked for, in a language."""
    turns, more_turns = _most_common(statistics.turns, SHARES_DRAWN)
    languages, other_languages = _most_common(statistics.languages or {}, SHARES_DRAWN)
    bars = {f"{number} turns": rows for number, rows in sorted(turns.items())}
    bars |= {"other numbers of turns": more_turns, **languages, "other languages": other_languages}
    return _bars("rows", {name: rows for name, rows in bars.items() if rows}, statistics.measured)


def _most_common(counts: Mapping[Any, int], limit: int) -> tuple[dict[Any, int], int]:
    """The first of what comes most often, with their counts; and the sum of all other counts."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return dict(ordered[:limit]), sum(rows for _, rows in ordered[limit:])


def _sources(statistics: PoolStatistics, limit: int) -> list[tuple[str, int, int | None]]:
    """Sources with their rows and tokens; those after the first `limit` are one."""
    rows = [(found.source, found.rows, found.tokens) for found in statistics.sources]
    if rest := rows[limit:]:
        tokens = (
            sum(tokens or 0 for _, _, tokens in rest) if statistics.tokens is not None else None
        )
        rows = [*rows[:limit], (f"{len(rest)} more", sum(row[1] for row in rest), tokens)]
    return rows


def show(statistics: PoolStatistics) -> None:
    """Prints the sources, and how long the rows are."""
    about = "about " if statistics.is_estimate else ""
    header = ("source", "rows", f"{about}tokens")
    rows = _sources(statistics, SOURCES_PRINTED)
    if statistics.tokens is None:
        rows, header = [row[:2] for row in rows], header[:2]
    report.table("Pool by source", rows, header)
    for line in _lines(statistics):
        report.console.print(line, markup=False, highlight=False)
    report.console.print()


def _lines(statistics: PoolStatistics) -> list[str]:
    measured = statistics.measured
    unit = "Tokens" if statistics.tokens is not None else "Characters"
    half, most_rows, longest = np.quantile(
        statistics.lengths, (0.5, 0.9, 1), method="inverted_cdf"
    ).tolist()
    lines = [
        f"{unit} a row: half have up to {half:,}, 90% up to {most_rows:,}, all up to {longest:,}.",
        f"Turns a row: {_shares(statistics.turns, measured)}.",
    ]
    if statistics.languages:
        lines.append(f"Languages: {_shares(statistics.languages, measured)}.")
    if statistics.tokens is None:
        lines.append("Tokens are not counted: the model has no tokenizer.json that can be read.")
    if statistics.is_estimate:
        lines.append(f"Measured on a random sample of {measured:,} rows.")
    return lines


def _shares(counts: Mapping[Any, int], total: int) -> str:
    """The largest shares in words: `2 in 90.0%, 4 in 8.0%, others in 2.0%`."""
    common = {name: rows for name, rows in counts.items() if rows >= SMALLEST_PRINTED * total}
    shown, _ = _most_common(common, SHARES_PRINTED)
    rest = sum(counts.values()) - sum(shown.values())
    parts = shown | ({"others": rest} if rest else {})
    return ", ".join(f"{name} in {rows / total:.1%}" for name, rows in parts.items())
