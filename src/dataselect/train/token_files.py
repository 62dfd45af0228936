"""Rows as tokens in files: written once, read by all processes of a run through a memory map."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from dataselect.data import checksums, files, locks
from dataselect.models.tokens import Encoded


class TokenRows(Sequence[Encoded]):
    """Rows in a folder of token files, read as they are asked for. Processes pass on its path.

    As a context it removes the files at its end; those of a run that is interrupted stay, for the
    run that continues it.

    Args:
        folder: as `stored_rows` writes it: `ids` (int32) and `response` (bool) of all tokens, one
            row behind the other; `spans.npy` (int64, n 2), of every row its first token and one
            past its last.

    Attributes:
        dropped: how many rows were left out because they have no response token.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spans: np.ndarray = np.load(folder / "spans.npy", mmap_mode="r")
        self.ids = _mapped(folder / "ids", np.int32)
        self.response = _mapped(folder / "response", np.bool_)
        self.dropped: int = json.loads((folder / "dropped.json").read_text())

    @property
    def lengths(self) -> np.ndarray:
        """The tokens of each row (int64, n)."""
        return np.asarray(self.spans[:, 1] - self.spans[:, 0])

    def __len__(self) -> int:
        return len(self.spans)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Encoded]: ...
    def __getitem__(self, index: int | slice) -> Encoded | list[Encoded]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        start, end = self.spans[index].tolist()
        return Encoded(self.ids[start:end], self.response[start:end])

    def __reduce__(self) -> tuple[type[TokenRows], tuple[Path]]:
        return TokenRows, (self.folder,)

    def __enter__(self) -> TokenRows:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, Exception):
            self.remove()

    def remove(self) -> None:
        """Removes the files."""
        shutil.rmtree(self.folder)


def row_lengths(rows: Sequence[Encoded]) -> np.ndarray:
    """The tokens of each row (int64, n); of rows in files without reading their tokens."""
    if isinstance(rows, TokenRows):
        return rows.lengths
    return np.asarray([len(row.ids) for row in rows], dtype=np.int64)


def stored_rows(
    folder: Path, encode: Callable[[], Iterable[list[Encoded]]], places: np.ndarray | None = None
) -> TokenRows:
    """The rows in a folder; where they are not there, or torn, they are written, whole.

    Args:
        folder: its path must name all that decides the rows.
        encode: () → blocks of rows; one block at a time is in memory.
        places: of each row, in the order of the blocks, its place among all (int64, n); None: that
            order. Rows without a response token are left out.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locks.exclusive(folder.with_suffix(".lock"), "the tokens to train on"):
        if not checksums.is_sealed(folder):
            partial = files.partial_folder(folder)
            shutil.rmtree(partial, ignore_errors=True)  # of a killed process
            partial.mkdir()
            try:
                _write(partial, encode(), places)
                checksums.seal(partial, folder)
                files.rename_folder(partial, folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return TokenRows(folder)


def _write(folder: Path, blocks: Iterable[list[Encoded]], places: np.ndarray | None) -> None:
    lengths: list[np.ndarray] = []
    with (folder / "ids").open("wb") as ids, (folder / "response").open("wb") as response:
        for block in blocks:
            kept = [row if row.has_response else None for row in block]
            for row in filter(None, kept):
                ids.write(row.ids.astype(np.int32).tobytes())
                response.write(row.response.astype(np.bool_).tobytes())
            of_block = [len(row.ids) if row else 0 for row in kept]
            lengths.append(np.asarray(of_block, dtype=np.int64))
    edges = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *lengths]))
    spans = np.stack([edges[:-1], edges[1:]], axis=1)
    if places is not None:
        spans[places] = spans.copy()
    kept_spans = spans[spans[:, 1] > spans[:, 0]]
    np.save(folder / "spans.npy", kept_spans)
    files.write_json(folder / "dropped.json", len(spans) - len(kept_spans))


def _mapped(path: Path, dtype: Any) -> np.ndarray:
    """A file as an array that is read as it is used."""
    if path.stat().st_size == 0:  # which cannot be mapped
        return np.empty(0, dtype)
    return np.asarray(np.memmap(path, dtype, mode="r"))
