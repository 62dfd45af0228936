"""Raw files → the queries and the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import polars as pl

from dataselect.data import tables
from dataselect.data.examples import Format
from dataselect.data.schemas import CLUSTER, TOOL_USE
from dataselect.data.tables import Message
from dataselect.data.tool_use import ToolConversation, to_column
from dataselect.dedup.conversations import duplicate_key, parse_messages, reason_to_drop
from dataselect.dedup.fields import (
    BadRow,
    list_from_json,
    name_field,
    text_field,
    text_list_field,
    value_of,
)
from dataselect.dedup.read import RawRow, read_rows
from dataselect.errors import InputError, did_you_mean, first_few


def read_queries(paths: list[str], tasks: Literal["all"] | list[str]) -> pl.DataFrame:
    """The queries table of the wanted tasks, in the files' order.

    A row without a `task` belongs to the task that is named like its file. Without files, the table
    is empty.

    Raises:
        InputError: no query, a row that cannot be understood, an id twice within a task, or a
            wanted task without queries.
    """
    if not paths:  # the method uses none
        return tables.empty("queries")
    rows = _parse_rows(paths, "queries.path", _parse_query)
    table = pl.DataFrame(rows, schema=tables.schema("queries") | TOOL_USE, orient="row")
    if not table["tool_use"].count():
        table = table.drop("tool_use")
    if tasks == "all":
        return table
    names = table["task"].unique(maintain_order=True).to_list()
    for task in tasks:
        if task not in names:
            raise InputError(
                f"tasks: `{task}` has no queries. {did_you_mean(task, names)} To take all queries, "
                "also of other tasks than the tests', set `queries: {path: …, tasks: all}`."
            )
    return table.filter(pl.col("task").is_in(tasks))


def read_tests(paths: list[str], tasks: Literal["all"] | list[str]) -> pl.DataFrame:
    """The tests table of the wanted tasks: `messages` end with the gold answer.

    `answer` is what the metric compares with: the column of that name, else the last response.
    Where several are right, `answers` has them all, `answer` first. `kind` is what the file says,
    or null. Without files, the table is empty.

    Raises:
        InputError: no test, or none of the wanted tasks; a row that cannot be understood, or is
            without an answer; an id twice within a task.
    """
    if not paths:  # nothing is to be scored
        return tables.empty("tests")
    rows = _parse_rows(paths, "tests.path", _parse_test)
    table = pl.DataFrame(rows, schema=tables.schema("tests") | CLUSTER, orient="row")
    if not table["cluster"].count():
        table = table.drop("cluster")
    if tasks == "all":
        return table
    wanted = table.filter(pl.col("task").is_in(tasks))
    if wanted.is_empty():  # some of several tasks may be without tests
        raise InputError(
            f"tests.path: no test of {first_few(tasks)}; there are tests of "
            f"{first_few(table['task'].unique(maintain_order=True))}. Add tests, or fix `tasks`."
        )
    return wanted


def task_counts(queries: pl.DataFrame, tests: pl.DataFrame) -> list[tuple[str, int, int]]:
    """Every task with its numbers of queries and tests; their sums, as `all`, at the end."""
    names = pl.concat([queries["task"], tests["task"]]).unique(maintain_order=True)
    rows = [
        (name, queries.filter(task=name).height, tests.filter(task=name).height) for name in names
    ]
    return [*rows, ("all", queries.height, tests.height)]


def queries_in_tests(queries: pl.DataFrame, tests: pl.DataFrame) -> list[tuple[str, str]]:
    """Task and id of the queries whose prompt is also that of a test, of whatever task."""
    prompts = {_prompt_key(turns) for turns in tests["messages"].to_list()}
    rows = queries.select("task", "id", "messages").iter_rows()
    return [(task, name) for task, name, turns in rows if _prompt_key(turns) in prompts]


def _prompt_key(turns: list[Message]) -> str:
    """What two rows share that ask the same: all before the answer, the last assistant turn."""
    before = turns[:-1] if turns[-1]["role"] == "assistant" else turns
    return duplicate_key(before or turns)


def _parse_rows(
    paths: list[str], where: str, parse: Callable[[RawRow], list[Any]]
) -> list[list[Any]]:
    """Every row of the files: task, id and the other columns that `parse` returns."""
    rows, places = [], {}
    for raw in read_rows(paths):
        try:
            rows.append(parse(raw))
        except BadRow as error:
            raise InputError(f"{where}: {raw.place}: {error}. Fix the row.") from None
        places.setdefault(tuple(rows[-1][:2]), []).append(raw.place)
    if not rows:
        raise InputError(f"{where}: no row in {first_few(paths)}. Expected at least one.")
    repeated = {name: at for name, at in places.items() if len(at) > 1}
    if repeated:
        named = first_few(
            f"`{name}` of {task} at {first_few(at, 2)}" for (task, name), at in repeated.items()
        )
        raise InputError(
            f"{where}: {len(repeated)} ids are repeated within a task: {named}. Expected one id "
            "per row; a row without one gets it from its content. Fix the ids, or remove equal "
            "rows."
        )
    return rows


def _parse_query(raw: RawRow) -> list[Any]:
    """The columns of the queries table."""
    columns = _parse_row(raw)
    _, _, turns, _, prefill, *_ = columns
    if isinstance(turns, ToolConversation) and columns[4:] != [None] * 3:
        raise BadRow("prefill, format, max_tokens: expected none of them beside tool use")
    if prefill is not None and turns[-1]["role"] != "assistant":
        raise BadRow("prefill: expected an answer after it, as the last assistant turn")
    return [*columns, to_column(turns)]


def _parse_row(raw: RawRow) -> list[Any]:
    """What queries and tests share: task, id, messages, subtask, prefill, format, max_tokens."""
    if isinstance(raw.record, BadRow):
        raise raw.record
    turns = parse_messages(raw.record)
    if reason_to_drop(turns) == "empty":
        raise BadRow("empty: expected at least one message with text")
    task = name_field(raw.record, "task") or raw.stem
    name = name_field(raw.record, "id") or duplicate_key(turns)[:20]
    return [task, name, turns, name_field(raw.record, "subtask"), *_encoding(raw.record)]


def _encoding(record: dict[str, Any]) -> list[Any]:
    """How a row is encoded: prefill, format and max_tokens."""
    prefill, kind = text_field(record, "prefill"), text_field(record, "format")
    if kind not in (None, *get_args(Format)):
        raise BadRow(f"format: expected chat or raw, found {kind!r:.60}")
    limit = value_of(record, "max_tokens")
    if isinstance(limit, str) and limit.isdecimal():  # of a csv file
        limit = float(limit)
    if limit is not None and (isinstance(limit, bool) or not _is_count(limit)):
        raise BadRow(f"max_tokens: expected a whole number from 1 on, found {limit!r:.60}")
    return [prefill, kind, None if limit is None else int(limit)]


def _is_count(value: Any) -> bool:
    # Infinity has no `int`, and a table's column holds 64 bits.
    return isinstance(value, int | float) and 1 <= value < 2**63 and value == int(value)


def _parse_test(raw: RawRow) -> list[Any]:
    """The columns of the tests table."""
    task, name, turns, subtask, *encoding = _parse_row(raw)
    if isinstance(turns, ToolConversation):
        raise BadRow("tool use: expected a test without tools; their use is not evaluated here")
    record: dict[str, Any] = raw.record  # ty: ignore[invalid-assignment]
    golds = _gold_answers(record)
    gold = golds[0] if golds else None
    if turns[-1]["role"] != "assistant":
        if gold is None:
            raise BadRow("no answer: expected a last assistant turn or a column `answer`")
        turns = [*turns, {"role": "assistant", "content": gold}]
        name = name_field(record, "id") or duplicate_key(turns)[:20]
    # White space around an answer counts neither here nor in a model's output.
    golds = list(dict.fromkeys(text.strip() for text in golds or [turns[-1]["content"]]))
    choices, kind = text_list_field(record, "choices"), text_field(record, "kind")
    choices = [choice.strip() for choice in choices] if choices else choices
    several = golds if len(golds) > 1 else None
    check, cluster = text_field(record, "check"), name_field(record, "cluster")
    return [task, name, turns, golds[0], choices, kind, several, *encoding, check, subtask, cluster]


def _gold_answers(record: dict[str, Any]) -> list[str]:
    """The columns `answer` and `answers`: a text, a list, or SQuAD's object with a list `text`."""
    golds = []
    for name in ("answer", "answers"):
        value = record.get(name)
        if name == "answers":  # a list by name; the text of an `answer` may look like one
            value = list_from_json(value)
        if isinstance(value, dict) and "text" in value:
            value = value["text"]
        column, is_list = {name: value}, isinstance(value, list)
        golds += text_list_field(column, name) or [] if is_list else [text_field(column, name)]
    return [gold for gold in golds if gold]
