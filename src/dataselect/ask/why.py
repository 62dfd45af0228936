"""Why a row was chosen, or not, or left out of the pool: the command `dataselect why`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from dataselect import report
from dataselect.ask.chosen import explain_choice
from dataselect.ask.page import Lines, Page, Table, shorten, table_lines
from dataselect.ask.run_files import RunFiles
from dataselect.data.inert import inert_values
from dataselect.errors import InputError, inert


class Dropped(NamedTuple):
    """A row of the input that is not in the pool."""

    id: str
    source: str
    reason: str
    detail: str | None
    place: str | None


def main(row: str, out: Path, top: int) -> None:
    """Prints why a row is where it is; signs that steer a terminal are shown, not sent.

    Args:
        row: its id; or its number in the pool, as `12` or `#12`.
        out: the folder of the outputs.
        top: how many groups, queries and rows a table has.

    Raises:
        InputError: there is no such row, or no pool.
    """
    run = RunFiles(out)
    parts = explain(row, run, top)
    for part in [*filter(None, [run.note]), *parts]:
        if isinstance(part, Table):
            rows = [tuple(inert_values([*row])) for row in part.rows]
            report.table(inert(part.title), rows, part.header)
        else:
            report.console.print(inert(part), markup=False, highlight=False, soft_wrap=False)
            report.console.print()


def explain(wanted: str, run: RunFiles, top: int) -> Page:
    """The sentences and tables that say why a row is where it is.

    Raises:
        InputError: there is no such row, or no pool.
    """
    number = run.find(wanted)
    name = wanted
    page: Page = []
    if number is not None:
        found = run.pool_rows([number])[number]
        name = found["id"]
        page += [_describe(found), *explain_choice(run, number, top)]
    page += _explain_dropped(name, run, top, in_pool=number is not None)
    page += _overlaps(name, run, top)
    if number is None and not page:
        raise InputError(_unknown(wanted, run))
    return page


def _unknown(wanted: str, run: RunFiles) -> str:
    last = run.scan("pool").select(pl.len()).collect().item() - 1
    near = run.near_ids(wanted)
    names = f" Near: {', '.join(f'`{name}`' for name in near)}." if near else ""
    return (
        f"no row of the pool, and none that was left out, has the id `{wanted}`.{names} "
        f"Give an id, or a row's number, from 0 to {last:,}."
    )


def _describe(row: dict[str, Any]) -> str:
    lines = [f"Row {row['row']:,} of the pool: `{row['id']}`, source `{row['source']}`"]
    for role, sign in (("user", " "), ("assistant", "→")):
        texts = [turn["content"] for turn in row["messages"] if turn["role"] == role]
        lines += [f"{sign} {shorten(texts[0])}"] if texts else []
    return "\n".join(lines)


def _explain_dropped(name: str, run: RunFiles, top: int, in_pool: bool) -> Page:
    """What was left out under this id, and what became of the row that stayed instead."""
    rows = run.scan("dropped").filter(pl.col("id") == name).collect()
    dropped = [Dropped(*row) for row in rows.select(Dropped._fields).iter_rows()]
    lines: Lines = []
    for row in dropped[:top]:
        which = "A row with the same id" if in_pool else f"`{row.id}`, source `{row.source}`,"
        at = f" It stands at {row.place}." if row.place else ""
        lines.append(f"{which} is not in the pool: {row.reason}.{at}")
        if row.detail is not None and row.reason == "duplicate":
            lines.append(_first_of(row.detail, run, "The first such row, which stayed,"))
        elif row.detail is not None and row.reason == "near-duplicate":
            kept = row.detail.partition(",")[0].split(" ")[0].strip("`")
            lines.append(f"Near: {row.detail}. {_first_of(kept, run, 'That row')}")
        elif row.detail is not None:
            lines.append(f"In detail: {row.detail}.")
    if more := len(dropped) - top:
        lines += [f"{more:,} more rows with this id were left out."] if more > 0 else []
    return ["\n".join(lines)] if lines else []


def _first_of(name: str, run: RunFiles, what: str) -> str:
    """The row that stayed, and whether it was chosen."""
    row = run.find(name)
    if row is None:
        return f"{what} is `{name}`."
    chosen = run.selection.filter(pl.col("row") == row)
    fate = f"number {chosen['rank'][0] + 1:,} of the chosen rows" if chosen.height else "not chosen"
    return f"{what} is `{name}`, row {row:,} of the pool: {fate}."


def _overlaps(name: str, run: RunFiles, top: int) -> Page:
    pairs = run.scan("contamination").filter(pl.col("id") == name).collect()
    if not pairs.height:
        return []
    pairs = pairs.sort("share", "task", "test", descending=[True, False, False])
    columns = pairs.select("text", "share", "task", "test").iter_rows()
    rows = [(shorten(text), share, task, test) for text, share, task, test in columns]
    title = f"It overlaps {pairs.height:,} tests; what matches:"
    return [table_lines(title, rows[:top], ("text", "share", "task", "test"))]
