"""csv and tsv files → records: a header line, quoted fields that may span lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO, Any

from dataselect.dedup.fields import BadRow
from dataselect.errors import InputError, first_few

#: The kinds of files, and what stands between two fields.
DELIMITERS = {".csv": ",", ".tsv": "\t"}

#: A field may hold a whole conversation. (Python's own limit is 131,072 characters.)
LONGEST_FIELD = 2**31 - 1


def read_separated(
    name: str, file: IO[bytes], delimiter: str
) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """Every row with the line it begins at, from 1; an empty cell is None, all others are text.

    Args:
        name: the file, for messages.

    Raises:
        InputError: the header cannot be used, or a quoted field never ends.
    """
    csv.field_size_limit(LONGEST_FIELD)
    # Bytes that are not UTF-8 become half surrogate pairs: only their rows are bad.
    with io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as text:
        header: list[str] | None = None
        for line, cells in _rows(name, text, delimiter):
            if isinstance(cells, BadRow) and header is None:
                raise InputError(f"{name}:{line}: {cells}. Fix the header.")
            if isinstance(cells, BadRow):
                yield line, cells
            elif header is None:
                header = _header(f"{name}:{line}", cells)
            else:
                yield line, _record(header, cells)


def _rows(name: str, text: IO[str], delimiter: str) -> Iterator[tuple[int, list[str] | BadRow]]:
    """The cells of every row, the header among them, with the line it begins at; no blank lines."""
    # Strict: else a field whose quotes never end holds all that follows, and no word is said.
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            if cells := next(reader):
                yield line, cells
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise InputError(
                    f"{name}:{line}: a quoted field of this row never ends. Close its quotes."
                ) from None
            yield (
                line,
                BadRow(f"not csv: {error}. Inside a quoted field, quotes are written twice"),
            )


def _header(place: str, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if not _is_unicode(cells):
        raise InputError(f"{place}: not UTF-8. Save the file as UTF-8.")
    if len(names) == 1 and ";" in names[0]:
        raise InputError(
            f"{place}: expected names between commas (.csv) or tabs (.tsv); found "
            f"`{names[0]:.60}`. Save the file with commas."
        )
    repeated = [cell for cell in dict.fromkeys(names) if cell and names.count(cell) > 1]
    if repeated:
        raise InputError(
            f"{place}: expected a header with a name for each column, each once; found "
            f"{first_few(f'`{cell}`' for cell in repeated)} more than once. Rename them."
        )
    return names


def _record(header: list[str], cells: list[str]) -> dict[str, Any] | BadRow:
    if len(cells) != len(header):
        return BadRow(f"expected {len(header)} fields, as in the header; found {len(cells)}")
    if not _is_unicode(cells):
        return BadRow("not UTF-8")
    # A column without a name is the index that pandas writes.
    return {name: cell or None for name, cell in zip(header, cells, strict=True) if name}


def _is_unicode(cells: list[str]) -> bool:
    text = "".join(cells)
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
