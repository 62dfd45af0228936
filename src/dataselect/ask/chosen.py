"""Why a row of the pool was chosen or not: its place in every group, and what came before it."""

from __future__ import annotations

import numpy as np
import polars as pl

from dataselect.ask.budgets import needed_budget, order_of
from dataselect.ask.page import Lines, Page, Table, shorten, table_lines
from dataselect.ask.rounds import first_turn
from dataselect.ask.run_files import RunFiles
from dataselect.ask.score_blocks import shape
from dataselect.ask.standing import Chosen, Standing, standing

#: Aggregators that rank all rows by one number → how that is called.
ORDERS = {"top": "best score over all groups", "mean_over_tasks": "mean score over the tasks"}


def explain_choice(run: RunFiles, row: int, top: int) -> Page:
    """The sentences and tables about a row of the pool.

    Args:
        row: its number.
        top: how many groups, queries and rows a table has.
    """
    chosen = run.selection.filter(pl.col("row") == row)
    place = dict(chosen.row(0, named=True)) if chosen.height else None
    lines = [_verdict(run, place)]
    if not (run.has("scores") and run.has("groups")):
        return [
            "\n".join([*lines, "There are no scores here, so its rank in the groups is not known."])
        ]
    picks = run.selection.sort("row")
    known = Chosen(picks["row"].to_numpy(), picks["group"].to_numpy())
    order = order_of(run.rule, run.groups)
    again = place is None and run.rule.aggregator == "round_robin" and not run.rule.limited
    found = standing(run.path("scores"), row, len(run.groups), known, order, keep=again)
    candidate = bool((found.scores > -np.inf).any()) and found.order != -np.inf
    if not candidate:
        lines.append("It has no score: the method rules it out. No budget takes it.")
        return ["\n".join(lines)]
    group = place["group"] if place else _group(run, found)
    lines += _turn(run, found, group, place)
    lines += [_before(run, found, group), _budget(run, row, found, place)]
    page: Page = ["\n".join(lines), _ranks(run, found, top)]
    page += _rows_taken(run, found, group, place, top)
    return page + _queries(run, row, found, top)


def _verdict(run: RunFiles, place: dict | None) -> str:
    if not run.has("selection"):
        return "There is no selection here, so whether it was chosen is not known."
    if place is None:
        count = run.selection.height
        return f"It was not chosen. {count:,} rows were." if count else "No row was chosen at all."
    return f"It was chosen, as number {place['rank'] + 1:,} of {run.selection.height:,}."


def _group(run: RunFiles, found: Standing) -> int:
    """The group that offers the row first; else that in which its rank, or score, is best."""
    if run.rule.aggregator == "round_robin":
        return first_turn(found)[1]
    if run.rule.aggregator in ORDERS:
        return int(found.scores.argmax())
    before = np.where(found.scores > -np.inf, found.before, np.iinfo(np.int64).max)
    return int(before.argmin())


def _turn(run: RunFiles, found: Standing, group: int, place: dict | None) -> Lines:
    """Which group took it, or would have offered it first, and when."""
    name, rank = run.groups[group].name, int(found.before[group]) + 1
    rule = run.rule
    if rule.aggregator in ORDERS:
        lines = [
            f"By its {ORDERS[rule.aggregator]}, {found.order:.4f}, it is number "
            f"{found.order_before + 1:,} of all rows."
        ]
        lines += [f"Its best group is `{name}`: score {found.scores[group]:.4f}."]
        return lines
    score = f"score {found.scores[group]:.4f}, rank {rank:,} there"
    if rule.aggregator != "round_robin" or rule.limited:
        verb = "took it" if place else "is the one in which it ranks best"
        return [f"The group `{name}` {verb}: {score}."]
    turn = (rank - 1) * len(run.groups) + group + 1
    when = f"in round {rank:,}, turn {turn:,} of all"
    if place:
        return [f"The group `{name}` took it {when}: {score}."]
    return [f"The group `{name}` would have been the first to offer it, {when}: {score}."]


def _before(run: RunFiles, found: Standing, group: int) -> str:
    """What stood in front of it in the group."""
    before, by_it = int(found.before[group]), int(found.chosen_by[group])
    others = int(found.chosen[group]) - by_it
    name = run.groups[group].name
    if not before:
        return f"No row ranks before it in `{name}`."
    counts = [(by_it, f"chosen by `{name}`"), (others, "by other groups")]
    parts = ", ".join(f"{count:,} {what}" for count, what in counts if count > 0)
    rest = before - by_it - others
    chosen = parts or "none chosen"
    return f"Before it in `{name}` rank {before:,}: {chosen}, {rest:,} not chosen."


def _budget(run: RunFiles, row: int, found: Standing, place: dict | None) -> str:
    """Which budget takes it."""
    rule = run.rule
    follows = rule.aggregator in (*ORDERS, "round_robin") and not rule.limited
    if place and follows:  # their larger choices begin with the smaller
        return f"A budget of {place['rank'] + 1:,} rows takes it, and every larger one."
    rows, _ = shape(run.path("scores"))
    needed = needed_budget(rule, run.groups, run.path("scores"), row, found, rows)
    if needed.rows is None:
        return f"Which budget takes it is not known: {needed.unknown}."
    more = "" if place else f"; {run.selection.height:,} were chosen"
    return f"A budget of {needed.rows:,} rows takes it, and every larger one{more}."


def _ranks(run: RunFiles, found: Standing, top: int) -> Table:
    """Score and rank in the groups in which it ranks best."""
    candidates = np.flatnonzero(found.scores > -np.inf)
    best = candidates[np.argsort(found.before[candidates], kind="stable")]
    rows = [
        (
            run.groups[g].name,
            float(found.scores[g]),
            int(found.before[g]) + 1,
            int(found.chosen[g]),
            int(found.chosen_by[g]),
        )
        for g in best[:top].tolist()
    ]
    of_all = f", the best {len(rows)} of {len(best):,}" if len(rows) < len(best) else ""
    header = ("group", "score", "rank", "chosen before it", "by the group")
    return table_lines(f"Its place in the groups{of_all}", rows, header)


def _rows_taken(run: RunFiles, found: Standing, group: int, place: dict | None, top: int) -> Page:
    """The last rows that were chosen before it: by its group, or of all."""
    taken = run.selection
    what = "Chosen before it" if place else "The last that were chosen"
    if run.rule.aggregator not in ORDERS:
        taken = taken.filter(pl.col("group") == group)
        what += f" by `{run.groups[group].name}`"
    if place:
        taken = taken.filter(pl.col("rank") < place["rank"])
    taken = taken.sort("rank").tail(top)
    if not taken.height:
        return []
    texts = run.pool_rows(taken["row"].to_list())
    rows = [
        (_prompt(texts[row]), rank + 1, score, name)
        for row, rank, score, name in taken.select("row", "rank", "score", "id").iter_rows()
    ]
    return [table_lines(what, rows, ("text", "number", "score", "id"))]


def _prompt(row: dict) -> str:
    turns = [turn["content"] for turn in row["messages"] if turn["role"] == "user"]
    return shorten(turns[0] if turns else "")


def _queries(run: RunFiles, row: int, found: Standing, top: int) -> Page:
    if not run.has("queries"):
        return []
    from dataselect.ask.nearest import nearest_queries

    rows = [
        (query.text, query.score, query.task, query.id)
        for query in nearest_queries(run, row, found.scores, top)
    ]
    header = ("text", "score", "task", "id")
    return [table_lines("The queries it is nearest to", rows, header)] if rows else []
