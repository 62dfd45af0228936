"""The setting `pool.columns`: files whose columns have names of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

from dataselect.dedup.fields import FORMS, POOL_COLUMNS, SYNONYMS, BadRow
from dataselect.dedup.parts import Part, read_parts
from dataselect.dedup.read import RawRow
from dataselect.errors import InputError, did_you_mean, first_few

#: So many of a file's columns are named in a message.
NAMED = 20


def check_columns(columns: dict[str, str]) -> None:
    """Checks that the names on the left are columns of ours.

    Raises:
        InputError: one is not, or a name on the right is empty.
    """
    for ours, theirs in columns.items():
        if ours not in POOL_COLUMNS:
            raise InputError(
                f"params.yaml: pool.columns: `{ours}` is no column that a row of the pool is read "
                f"from. Expected `ours: theirs`. {did_you_mean(ours, POOL_COLUMNS)}"
            )
        if not theirs:
            raise InputError(
                f"params.yaml: pool.columns.{ours}: expected the name of a column of the files; "
                "found nothing. Set it."
            )


def read_pool_rows(
    files: list[str], columns: dict[str, str], extra: Collection[str] = ()
) -> Iterator[RawRow]:
    """The rows of `read_pool_parts`, one by one."""
    for part in read_pool_parts(files, columns, extra):
        yield from part.rows()


def read_pool_parts(
    files: list[str], columns: dict[str, str], extra: Collection[str] = ()
) -> Iterator[Part]:
    """The rows of the files as they are, with the columns that `columns` names among them.

    Args:
        columns: our name → the files' name.
        extra: further columns of parquet files to read; a file may lack them.

    Raises:
        InputError: a file has rows, and lacks a column of `columns` in all of them.
    """
    for path in files:
        lacking, names = set(columns.values()), dict[str, None]()
        for part in read_parts(path, (*columns.values(), *extra)):
            for header in part.names() if lacking else ():
                lacking -= set(header)
                names |= dict.fromkeys(header) if len(names) < NAMED else {}
                if not lacking:
                    break
            yield part
        if lacking and names:
            absent = next(theirs for theirs in columns.values() if theirs in lacking)
            raise InputError(
                f"{path}: no column `{absent}`, which `pool.columns` in params.yaml names. "
                f"The file has {first_few(names, NAMED)}. Fix the name there."
            )


def file_columns(columns: dict[str, str]) -> dict[str, str]:
    """The columns that `rename` leaves: our name → the files'.

    Args:
        columns: our name → the files' name, where it is another.
    """
    unread = _unread(tuple(columns)) if columns else set()
    return {name: name for name in POOL_COLUMNS if name not in unread} | columns


def rename(record: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    """A record with our names beside the file's own.

    A column that is set stands before what the file itself has for the same: other forms of the
    conversation, and the other name of a synonym, are left out.
    """
    if not columns:
        return record
    unread = _unread(tuple(columns))
    own = {name: value for name, value in record.items() if name not in unread}
    return own | {ours: record.get(theirs) for ours, theirs in columns.items()}


def note_lacking(record: dict[str, Any] | BadRow, columns: dict[str, str]) -> str:
    """What to add to a bad row's message: a column of `columns` that the row lacks."""
    if isinstance(record, BadRow):
        return ""
    lacking = [theirs for theirs in columns.values() if theirs not in record]
    return f"; no column `{lacking[0]}`, which `pool.columns` names" if lacking else ""


@cache
def _unread(ours: tuple[str, ...]) -> set[str]:
    names = {name for group in SYNONYMS if not set(group).isdisjoint(ours) for name in group}
    other_forms = [form for form in FORMS if set(form).isdisjoint(ours)]
    if len(other_forms) < len(FORMS):
        names |= {name for form in other_forms for name in form}
    return names
