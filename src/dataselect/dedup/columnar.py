"""Rows of a file → rows of `RAW_SCHEMA`, whole columns at a time where the rows allow."""

from __future__ import annotations

from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from dataselect.dedup.columns import file_columns
from dataselect.dedup.filter import FILTERED, RowFilter
from dataselect.dedup.kept_columns import pack
from dataselect.dedup.parts import Columns, Part
from dataselect.dedup.pool_rows import SOURCE_LEFT_OUT, raw_schema, raw_table
from dataselect.dedup.read import RawRow
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.sources import SourceNames
from dataselect.dedup.truncation import CUT_OFF, Truncation
from dataselect.dedup.turns import Turns, find_plain, flatten, is_text

#: The columns of a row that is parsed here.
READ = ("id", "source", "dataset", "messages", "tools")


class Parsed(NamedTuple):
    """What was parsed of a part: which of its b rows are plain, and the table of these.

    Plain rows have `messages` with known roles and texts, and no tools.
    """

    plain: np.ndarray
    rows: Any


class ColumnParser:
    """Makes rows of `RAW_SCHEMA` of plain rows, with the results of `name_rows` and `parse_row`.

    Args:
        rules: how rows are read, and which are left out.
        sources: what each source becomes.
        meets_condition: the condition of `rules`.
    """

    def __init__(
        self,
        rules: PoolRules,
        sources: SourceNames,
        meets_condition: RowFilter,
        truncation: Truncation,
    ) -> None:
        self._rules, self._sources = rules, sources
        self._meets_condition, self._truncation = meets_condition, truncation
        names = file_columns(rules.columns)
        self._names = {name: names[name] for name in READ if name in names}
        self._further = dict.fromkeys((*meets_condition.columns, *rules.keep))

    def __call__(self, part: Part) -> Parsed | None:
        """The plain rows of a part; None where there are none.

        Raises:
            InputError: the condition cannot be computed for a row.
        """
        if "messages" not in self._names or (columns := part.columns(self._names)) is None:
            return None
        rows, plain = _name(columns, self._rules.id), _find_plain(columns)
        if rows is None or plain is None or not plain.any():
            return None
        values = columns.values(self._further) if self._further else [{}] * len(part)
        values, rows = _choose(values, plain), rows.filter(pl.Series(plain))
        rows = self._find_unwanted(rows, values, columns.stem)
        wanted = rows["reason"].is_null().to_numpy()
        messages = _filter(_filter(columns.arrays["messages"], plain), wanted)
        parsed = self._parse(
            rows.filter(pl.Series(wanted)), flatten(messages), _choose(values, wanted)
        )
        if wanted.all():
            return Parsed(plain, parsed)
        unwanted = rows.filter(pl.Series(~wanted))
        unwanted = unwanted.with_columns(pl.coalesce("id", "place").alias("id"))
        return Parsed(plain, merge(wanted, parsed, raw_table(unwanted)))

    def _find_unwanted(
        self, rows: pl.DataFrame, values: list[dict[str, Any]], stem: str
    ) -> pl.DataFrame:
        """Renames the sources of rows, and sets the reasons of those that are not wanted.

        Args:
            values: of the columns of the files that settings name.
        """
        names = rows["source"].unique(maintain_order=True).to_list()
        renamed = {name: self._sources.rename(name) for name in names}
        source = pl.col("source").replace_strict(renamed, return_dtype=pl.String)
        reason = pl.when(source.is_null()).then(pl.lit(SOURCE_LEFT_OUT))
        rows = rows.with_columns(pl.coalesce(source, "source").alias("source"), reason=reason)
        if self._rules.where is None:
            return rows
        wanted = np.flatnonzero(rows["reason"].is_null())
        places = rows["place"].to_list()
        meets = self._meets_condition([RawRow(places[i], stem, values[i]) for i in wanted])
        filtered = np.zeros(rows.height, dtype=bool)
        filtered[wanted] = ~np.asarray(meets, dtype=bool)
        reason = pl.when(pl.Series(filtered)).then(pl.lit(FILTERED)).otherwise("reason")
        return rows.with_columns(reason=reason)

    def _parse(self, rows: pl.DataFrame, turns: Turns, values: list[dict[str, Any]]) -> Any:
        """Named rows that are wanted, with their conversations."""
        messages = turns.messages(raw_schema().field("messages").type)
        keys, reasons = turns.keys_and_reasons()
        key = pl.Series(keys, dtype=pl.String)
        made, own = key.str.slice(0, 20), pl.col("id")
        rows = rows.with_columns(
            id=made if self._rules.id == "content" else pl.coalesce(own, made),
            key=key,
            reason=_find_truncated(messages, turns, reasons, self._truncation),
            extra=pl.Series([pack(row, self._rules.keep) for row in values], dtype=pl.String),
        )
        return raw_table(rows, messages)


def merge(is_first: np.ndarray, first: Any, second: Any) -> Any:
    """Two Arrow tables as the table (b) of which they are parts.

    Args:
        is_first: which rows are those of the first: bool, b.
    """
    import pyarrow as pa

    if not second.num_rows:
        return first
    order = np.concatenate([np.flatnonzero(is_first), np.flatnonzero(~is_first)])
    return pa.concat_tables([first, second]).take(pa.array(np.argsort(order)))


def _find_plain(columns: Columns) -> np.ndarray | None:
    """Which rows are plain (bool, b); None where none can be."""
    plain = find_plain(columns.arrays["messages"]) if "messages" in columns.arrays else None
    if plain is not None and "tools" in columns.arrays:
        plain = plain & columns.arrays["tools"].is_null().to_numpy(zero_copy_only=False)
    return None if plain is None else plain & columns.regular


def _name(columns: Columns, ids: str) -> pl.DataFrame | None:
    """Place, id (null: none of its own) and source of rows; None where types are others.

    Args:
        ids: the setting `pool.id`.
    """
    texts = [_text(columns.arrays.get(name)) for name in ("id", "source", "dataset")]
    if any(text is None for text in texts):
        return None
    name, *sources = (pl.when(text != "").then(text) for text in texts)
    source = pl.coalesce(*sources, pl.lit(columns.stem))
    if ids == "prefix":
        name = pl.concat_str([source, pl.lit("/"), name])
    return columns.places.to_frame("place").with_columns(id=name, source=source)


def _text(column: Any) -> pl.Expr | None:
    """A column of texts or whole numbers as text; None where it holds anything else."""
    import pyarrow as pa

    types = pa.types
    if column is None or types.is_null(column.type):
        return pl.lit(None, pl.String)
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (is_text(column.type) or types.is_integer(column.type)):
        return None
    return pl.lit(pl.Series(pl.from_arrow(column)).cast(pl.String))


def _find_truncated(
    messages: Any, turns: Turns, reasons: pl.Series, truncation: Truncation
) -> pl.Series:
    """The reasons of rows, with those of whose response the model would see nothing."""
    doubtful = np.flatnonzero(reasons.is_null().to_numpy() & truncation.doubtful(turns))
    if not len(doubtful):
        return reasons
    found = reasons.to_list()
    rows = messages.take(doubtful).to_pylist()
    for place, result in zip(doubtful, truncation(rows), strict=True):
        found[place] = result if isinstance(result, str) else CUT_OFF if result else None
    return pl.Series(found, dtype=pl.String)


def _choose(values: list[Any], rows: np.ndarray) -> list[Any]:
    return list(compress(values, rows))


def _filter(column: Any, rows: np.ndarray) -> Any:
    """An Arrow array's values in some rows; without a copy where that is all."""
    import pyarrow as pa

    return column if rows.all() else column.filter(pa.array(rows))
