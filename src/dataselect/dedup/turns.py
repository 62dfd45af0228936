"""The turns of many conversations at once: which are plain, their keys, why some are dropped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

#: The roles of turns without tool use.
PLAIN_ROLES = ("system", "developer", "user", "assistant")

#: What stands before the content of a first turn, and of the others, in a conversation's key.
_HEADS = [f"{role}: ".encode() for role in PLAIN_ROLES]
_FURTHER_HEADS = [b"\n" + head for head in _HEADS]

#: What a turn that calls tools has.
CALLS = ("tool_calls", "function_call")

#: All that `str.strip` removes.
WHITE_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


def _is_edge_of_white_space() -> np.ndarray:
    """Of each byte, whether white space begins or ends with it in UTF-8: bool, 256."""
    edges = np.zeros(256, dtype=bool)
    for character in WHITE_SPACE:
        encoded = character.encode()
        edges[[encoded[0], encoded[-1]]] = True
    return edges


_EDGE_OF_WHITE_SPACE = _is_edge_of_white_space()


@dataclass(frozen=True)
class Turns:
    """The turns of n plain conversations, t in all, one conversation behind the other.

    Attributes:
        edges: where each conversation begins, and the end of the last: int64, n + 1.
        roles: places in `PLAIN_ROLES`: int32, t.
        role: an Arrow array of large strings, t.
        content: likewise.
    """

    edges: np.ndarray
    roles: np.ndarray
    role: Any
    content: Any

    @property
    def offsets(self) -> np.ndarray:
        """Where each content begins in the bytes of all, and the end of the last: int64, t + 1."""
        _, offsets, _ = self.content.buffers()
        first = self.content.offset
        return np.frombuffer(offsets, np.int64)[first : first + len(self.content) + 1]

    def count(self, holds: np.ndarray) -> np.ndarray:
        """How many turns of each conversation something holds for (int64, n).

        Args:
            holds: for each turn: bool, t.
        """
        return np.diff(_sums(holds)[self.edges])

    def messages(self, kind: Any) -> Any:
        """The conversations as an Arrow array (n).

        Args:
            kind: its type: lists of objects with role and content.
        """
        import pyarrow as pa

        turns = pa.StructArray.from_arrays([self.role, self.content], ["role", "content"])
        return pa.LargeListArray.from_arrays(pa.array(self.edges), turns).cast(kind)

    def keys_and_reasons(self) -> tuple[list[str], pl.Series]:
        """Of each conversation (n) its `duplicate_key`, and its `reason_to_drop` (text or null)."""
        begins, ends = self._stripped()
        return self._keys(begins.tolist(), ends.tolist()), self._reasons(ends > begins)

    def _keys(self, begins: list[int], ends: list[int]) -> list[str]:
        """The MD5 of each conversation's `role: content` lines, without a copy of the texts."""
        text, roles, keys = memoryview(self.content.buffers()[2] or b""), self.roles.tolist(), []
        for first, end in pairwise(self.edges.tolist()):
            key, heads = hashlib.md5(), _HEADS
            for turn in range(first, end):
                key.update(heads[roles[turn]])
                key.update(text[begins[turn] : ends[turn]])
                heads = _FURTHER_HEADS
            keys.append(key.hexdigest())
        return keys

    def _stripped(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each content begins and ends without white space around it (int64, t each)."""
        offsets = self.offsets
        begins, ends = offsets[:-1].copy(), offsets[1:].copy()
        data = self.content.buffers()[2] or b""
        text = np.frombuffer(data, np.uint8)
        filled = np.flatnonzero(ends > begins)
        edge = _EDGE_OF_WHITE_SPACE
        for place in filled[edge[text[begins[filled]]] | edge[text[ends[filled] - 1]]].tolist():
            content = bytes(memoryview(data)[begins[place] : ends[place]]).decode().lstrip()
            begins[place] = ends[place] - len(content.encode())
            ends[place] = begins[place] + len(content.rstrip().encode())
        return begins, ends

    def _reasons(self, filled: np.ndarray) -> pl.Series:
        """Why nothing can be learned from a conversation (text or null, n).

        Args:
            filled: whether each turn has a content other than white space: bool, t.
        """
        response = self.roles == PLAIN_ROLES.index("assistant")
        found = {
            "empty": self.count(filled) == 0,
            "no assistant turn": self.count(response) == 0,
            "empty response": self.count(filled & response) == 0,
        }
        reasons = pl.Series([None], dtype=pl.String).new_from_index(0, len(self.edges) - 1)
        for reason, holds in reversed(found.items()):
            reasons = reasons.set(pl.Series(holds), reason)
        return reasons


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
    plain = (_role_places(columns["role"]) >= 0) & _is_valid(columns["content"])
    for name in CALLS:
        if name in columns:
            plain = plain & ~_is_valid(columns[name])
    return _is_valid(messages) & (np.diff(_sums(~plain)[edges]) == 0)


def flatten(messages: Any) -> Turns:
    """The turns of plain conversations: see `find_plain`.

    Args:
        messages: an Arrow array, n.
    """
    import pyarrow as pa

    edges, columns = _flatten(messages)
    role, content = (columns[name].cast(pa.large_string()) for name in ("role", "content"))
    return Turns(edges, _role_places(role), role, content)


def is_text(kind: Any) -> bool:
    """Whether Arrow's type is a text's."""
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _flatten(messages: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Where each conversation begins and ends (int64, n + 1), and the fields of all turns."""
    sizes = messages.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    turns = messages.flatten()
    names = [field.name for field in turns.type]
    # Of a turn that is null, all fields are null.
    return _sums(sizes), dict(zip(names, turns.flatten(), strict=True))


def _role_places(role: Any) -> np.ndarray:
    """The place of each role in `PLAIN_ROLES` (int32, t); -1 where it is no such role."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = pc.index_in(role, pa.array(PLAIN_ROLES, role.type))  # ty: ignore
    return places.fill_null(-1).to_numpy(zero_copy_only=False)


def _is_valid(column: Any) -> np.ndarray:
    return column.is_valid().to_numpy(zero_copy_only=False)


def _sums(numbers: np.ndarray) -> np.ndarray:
    """The sum of the numbers before each, and of all: int64, one more than the numbers."""
    return np.concatenate([[0], np.cumsum(numbers, dtype=np.int64)])
