"""Sentences and small tables that fit into 80 columns."""

from __future__ import annotations

from typing import Any, NamedTuple

#: Letters of a text of a row that stands in a line of its own.
WIDTH = 76

Lines = list[str]


class Table(NamedTuple):
    """A table with a title; its first column is text."""

    title: str
    rows: list[tuple[Any, ...]]
    header: tuple[str, ...]


#: What is printed: paragraphs and tables.
Page = list[str | Table]


def shorten(text: str | None, letters: int = WIDTH) -> str:
    """A text on one line, cut to so many letters."""
    line = " ".join((text or "").split())
    return line if len(line) <= letters else line[: letters - 1].rstrip() + "…"


def table_lines(title: str, rows: list[tuple[Any, ...]], header: tuple[str, ...]) -> Table:
    """A table whose texts, in the first column, leave space for the others in 80 columns."""
    from dataselect.report import format_cell

    others = sum(
        max(len(format_cell(cell)) for cell in column) + 2
        for column in zip(*[row[1:] for row in [*rows, header]], strict=True)
    )
    letters = max(24, WIDTH - others)
    return Table(title, [(shorten(str(row[0]), letters), *row[1:]) for row in rows], header)
