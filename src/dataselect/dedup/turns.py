"""The turns of many conversations at once: which are plain, their keys, why some are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from dataselect.data.schemas import MESSAGES

#: The roles of turns without tool use.
PLAIN_ROLES = ("system", "developer", "user", "assistant")

#: What a turn that calls tools has.
CALLS = ("tool_calls", "function_call")

#: What `str.strip` removes: Polars' own white space lacks the four separators of ASCII.
WHITE_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


@dataclass(frozen=True)
class Turns:
    """The turns of n conversations, t in all, one conversation behind the other.

    Attributes:
        role: text, t.
        content: text, t.
        edges: where each conversation begins, and the end of the last: int64, n + 1.
        stripped: the content without white space around it: text, t.
    """

    role: pl.Series
    content: pl.Series
    edges: np.ndarray
    stripped: pl.Series

    def count(self, holds: pl.Series) -> np.ndarray:
        """How many turns of each conversation something holds for (int64, n).

        Args:
            holds: for each turn: bool, t; null is False.
        """
        before = np.concatenate([[0], np.cumsum(holds.fill_null(False).to_numpy())])
        return before[self.edges[1:]] - before[self.edges[:-1]]

    def messages(self) -> pl.Series:
        """The conversations as a column of a table: `schemas.MESSAGES`, n."""
        import pyarrow as pa

        turns = pl.DataFrame({"role": self.role, "content": self.content}).to_struct()
        oldest = pl.CompatLevel.oldest()
        lists = pa.LargeListArray.from_arrays(self.edges, turns.to_arrow(compat_level=oldest))
        return pl.Series(pl.from_arrow(lists)).cast(MESSAGES)  # ty: ignore

    def texts(self) -> pl.Series:
        """What conversations must share to be duplicates (text, n): see `duplicate_key`."""
        import pyarrow as pa

        line = pl.concat_str([self.role, pl.lit(": "), self.stripped])
        lines = pl.select(line).to_series().to_arrow(compat_level=pl.CompatLevel.oldest())
        lists = pa.LargeListArray.from_arrays(self.edges, lines)
        return pl.Series(pl.from_arrow(lists)).list.join("\n")  # ty: ignore

    def reasons(self) -> pl.Series:
        """Why nothing can be learned from a conversation (text or null, n): `reason_to_drop`."""
        filled, assistant = self.stripped.str.len_bytes() > 0, self.role == "assistant"
        reason = (
            pl.when(pl.lit(pl.Series(self.count(filled) == 0)))
            .then(pl.lit("empty"))
            .when(pl.lit(pl.Series(self.count(assistant) == 0)))
            .then(pl.lit("no assistant turn"))
            .when(pl.lit(pl.Series(self.count(filled & assistant) == 0)))
            .then(pl.lit("empty response"))
        )
        return pl.select(reason).to_series()


def find_plain(messages: Any) -> np.ndarray | None:
    """Which conversations are lists of turns with a known role and a text, and call no tools.

    Args:
        messages: an Arrow array, n.

    Returns:
        Of each, whether it is one (bool, n); None where none can be: the type is another.
    """
    import pyarrow as pa

    kind = messages.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return None
    if not pa.types.is_struct(kind.value_type):
        return None
    fields = {field.name: field.type for field in kind.value_type}
    if len(fields) < kind.value_type.num_fields or not all(
        name in fields and is_text(fields[name]) for name in ("role", "content")
    ):
        return None
    edges, columns = _flatten(messages)
    plain = _series(columns["role"]).is_in(PLAIN_ROLES) & _series(columns["content"]).is_not_null()
    plain = plain.fill_null(False).to_numpy()
    for name in CALLS:
        if name in columns:
            plain = plain & columns[name].is_null().to_numpy(zero_copy_only=False)
    before = np.concatenate([[0], np.cumsum(~plain)])
    is_list = messages.is_valid().to_numpy(zero_copy_only=False)
    return is_list & (before[edges[1:]] == before[edges[:-1]])


def flatten(messages: Any) -> Turns:
    """The turns of plain conversations: see `find_plain`.

    Args:
        messages: an Arrow array, n.
    """
    edges, columns = _flatten(messages)
    role, content = _series(columns["role"]), _series(columns["content"])
    return Turns(role, content, edges, content.str.strip_chars(WHITE_SPACE))


def is_text(kind: Any) -> bool:
    """Whether Arrow's type is a text's."""
    import pyarrow as pa

    types = pa.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _flatten(messages: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Where each conversation begins and ends (int64, n + 1), and the fields of all turns."""
    import pyarrow.compute as pc

    sizes = pc.fill_null(pc.list_value_length(messages), 0).to_numpy(zero_copy_only=False)
    turns = messages.flatten()
    # Of a turn that is null, all fields are null.
    names = [field.name for field in turns.type]
    edges = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    return edges, dict(zip(names, turns.flatten(), strict=True))


def _series(column: Any) -> pl.Series:
    return pl.Series(pl.from_arrow(column), dtype=pl.String)  # ty: ignore
