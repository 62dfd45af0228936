"""The pool's statistics as plots, figures and a printed table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dataselect import report
from dataselect.data import files
from dataselect.dedup.statistics import PoolStatistics

#: Sources that are printed, and drawn; what is left is one line.
SOURCES_PRINTED, SOURCES_DRAWN = 12, 40

#: Numbers of turns, and languages, that are printed.
SHARES_PRINTED = 4


def figures(statistics: PoolStatistics) -> dict[str, Any]:
    """What `metrics/dedup.json` notes of a pool."""
    noted = {"tokens": statistics.tokens, "measured_rows": statistics.measured}
    noted["turns"] = {str(turns): rows for turns, rows in statistics.turns.items()}
    return noted | ({"languages": statistics.languages} if statistics.languages else {})


def write_plots(
    statistics: PoolStatistics, read: int, dropped: Mapping[str, int], folder: Path
) -> None:
    """Writes what `dvc plots` draws: sources, lengths, languages, and what became of the rows.

    Args:
        read: the rows of the files.
        dropped: reason → rows.
    """
    becomes = {"in the pool": statistics.rows, **dropped}
    files.write_json(folder / "pool_sources.json", _source_bars(statistics))
    files.write_json(folder / "pool_lengths.json", _length_bars(statistics))
    files.write_json(folder / "pool_dropped.json", _bars("rows", becomes, read))
    languages = statistics.languages or {"not looked for": statistics.measured}
    files.write_json(
        folder / "pool_languages.json", _bars("language", languages, statistics.measured)
    )


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
    """The shares of rows of 0, 1, 2 to 3, 4 to 7, … tokens, from the shortest to the longest."""
    unit = "tokens" if statistics.tokens is not None else "characters"
    powers = np.frexp(statistics.lengths.astype(np.float64))[1]  # 4 to 7 have the power 3
    counts = np.bincount(powers)
    bars = {}
    for power in range(int(powers.min()), len(counts)):
        low, high = 2**power // 2, 2**power - 1
        name = f"{low:,}" if low >= high else f"{low:,} to {high:,}"
        bars[f"{name} {unit}"] = int(counts[power])
    return _bars("length", bars, statistics.measured)


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
        f"{unit} a row: half have up to {half:,}, 90 % up to {most_rows:,}, all up to {longest:,}.",
        f"Turns a row: {_shares(statistics.turns.items(), measured)}.",
    ]
    if statistics.languages:
        lines.append(f"Languages: {_shares(statistics.languages.items(), measured)}.")
    if statistics.tokens is None:
        lines.append("Tokens are not counted: the model has no tokenizer.json that can be read.")
    if statistics.is_estimate:
        lines.append(f"Measured on a random sample of {measured:,} rows.")
    return lines


def _shares(counts: Iterable[tuple[Any, int]], total: int) -> str:
    """The largest shares in words: `2 in 90.0 %, 4 in 8.0 %, others in 2.0 %`."""
    ordered = sorted(counts, key=lambda item: -item[1])
    shown, rest = ordered[:SHARES_PRINTED], sum(rows for _, rows in ordered[SHARES_PRINTED:])
    parts = [*shown, ("others", rest)] if rest else shown
    return ", ".join(f"{name} in {rows / total:.1%}".replace("%", " %") for name, rows in parts)
