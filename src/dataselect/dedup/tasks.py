"""…"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from dataselect.data import tables
from dataselect.dedup.conversations import (
    BadRow,
    duplicate_key,
    parse_messages,
    text_field,
    text_list_field,
)
from dataselect.dedup.read import RawRow, read_rows
from dataselect.errors import InputError, did_you_mean, first_few


def read_queries(files: list[str], tasks: str | list[str]) -> pl.DataFrame:
    """The queries table of the wanted tasks, in the files' order.

    Rows without a `task` belong to the task that is named like their file. Without files, it is
    empty.

    Raises:
        InputError: no query, a row that cannot be understood, an id twice within a task, or a
            wanted task without queries.
    """
    if not files:  # the method looks at none
        return tables.empty("queries")
    rows = _parse_rows(files, "queries.path", _query)
    frame = pl.DataFrame(rows, schema=tables.SCHEMAS["queries"], orient="row")
    return _of_tasks(frame, tasks, "queries")


def read_tests(files: list[str], tasks: str | list[str]) -> pl.DataFrame:
    """The tests table of the wanted tasks: `messages` end with the gold answer.

    `answer` is what the metric compares with: the column of that name, else the last response.

    Raises:
        InputError: no test, not even of the wanted tasks; a row that cannot be understood, or is
            without an answer; an id twice within a task.
    """
    rows = _parse_rows(files, "tests.path", _test)
    frame = pl.DataFrame(rows, schema=tables.SCHEMAS["tests"], orient="row")
    if tasks == "all":
        return frame
    wanted = frame.filter(pl.col("task").is_in(tasks))
    if wanted.is_empty():  # one of several may do without
        raise InputError(
            f"tests.path: no test of {first_few(tasks)}; there are tests of "
            f"{first_few(frame['task'].unique(maintain_order=True))}. Add tests, or mend `tasks`."
        )
    return wanted


def task_counts(queries: pl.DataFrame, tests: pl.DataFrame) -> list[tuple[str, int, int]]:
    """Of every task, how many queries and tests there are, and their sums at the end."""
    names = pl.concat([queries["task"], tests["task"]]).unique(maintain_order=True)
    rows = [
        (name, queries.filter(task=name).height, tests.filter(task=name).height) for name in names
    ]
    return [*rows, ("all", queries.height, tests.height)]


def _parse_rows(
    files: list[str], where: str, understand: Callable[[RawRow], list[Any]]
) -> list[list[Any]]:
    """Every row of the files: task, id and what else `understand` makes of it."""
    rows, places = [], {}
    for raw in read_rows(files):
        try:
            rows.append(understand(raw))
        except BadRow as error:
            raise InputError(f"{where}: {raw.place}: {error}. Mend the row.") from None
        places.setdefault(tuple(rows[-1][:2]), []).append(raw.place)
    if not rows:
        raise InputError(f"{where}: no row in {first_few(files)}. Expected at least one.")
    twice = {name: found for name, found in places.items() if len(found) > 1}
    if twice:
        named = first_few(
            f"`{name}` of {task} at {first_few(at, 2)}" for (task, name), at in twice.items()
        )
        raise InputError(
            f"{where}: {len(twice)} ids stand twice within a task: {named}. Expected one id a row; "
            "a row without one gets it from its content. Mend the ids, or leave out equal rows."
        )
    return rows


def _query(raw: RawRow) -> list[Any]:
    """A row in the order of the queries table."""
    if isinstance(raw.record, BadRow):
        raise raw.record
    turns = parse_messages(raw.record)
    if not any(turn["content"].strip() for turn in turns):
        raise BadRow("empty: expected at least one message with text")
    task = text_field(raw.record, "task") or raw.stem
    name = text_field(raw.record, "id") or duplicate_key(turns)[:20]
    return [task, name, turns, text_field(raw.record, "subtask")]


def _test(raw: RawRow) -> list[Any]:
    """A row in the order of the tests table."""
    task, name, turns, _ = _query(raw)
    record: dict[str, Any] = raw.record  # ty: ignore[invalid-assignment]
    answer = text_field(record, "answer")
    if turns[-1]["role"] != "assistant":
        if answer is None:
            raise BadRow("no answer: expected a last assistant turn or a column `answer`")
        turns = [*turns, {"role": "assistant", "content": answer}]
        name = text_field(record, "id") or duplicate_key(turns)[:20]
    # White space around an answer counts neither here nor in what a model says.
    answer = (turns[-1]["content"] if answer is None else answer).strip()
    choices, kind = text_list_field(record, "choices"), text_field(record, "kind")
    choices = [choice.strip() for choice in choices] if choices else choices
    return [task, name, turns, answer, choices, kind]


def _of_tasks(frame: pl.DataFrame, tasks: str | list[str], what: str) -> pl.DataFrame:
    if tasks == "all":
        return frame
    there = frame["task"].unique(maintain_order=True).to_list()
    for task in tasks:
        if task not in there:
            raise InputError(
                f"tasks: `{task}` has no {what}. {did_you_mean(task, there)} Queries from outside "
                "the tasks are all taken with `queries: {path: …, tasks: all}`."
            )
    return frame.filter(pl.col("task").is_in(tasks))
