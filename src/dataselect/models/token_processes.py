"""Conversations → tokens in other processes, so that the one that feeds a GPU waits for none."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dataselect.compute import no_progress, ordered_results
from dataselect.compute.threads import cores
from dataselect.errors import InputError
from dataselect.models.chat import Chat, blocks_by_length, load_chat
from dataselect.models.parts import Part, encode_part
from dataselect.models.settings import ModelSettings, TokenizerSettings
from dataselect.models.tokens import Encoded

if TYPE_CHECKING:
    from dataselect.data.tables import Message

#: Processes for a GPU, where there are cores for them.
PROCESSES = 4


class Flat(NamedTuple):
    """Encoded rows as few flat arrays, which travel fast between processes.

    Attributes:
        ids: token ids of all rows (int32, t).
        response: which tokens are the responses' (bool, t).
        lengths: tokens of each row (int64, b).
        truncated: which rows `max_tokens` cut (bool, b).
    """

    ids: np.ndarray
    response: np.ndarray
    lengths: np.ndarray
    truncated: np.ndarray

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.lengths)

    def split(self) -> list[Encoded]:
        """The rows; their arrays are views."""
        ends = np.cumsum(self.lengths)[:-1]
        ids, response = np.split(self.ids, ends), np.split(self.response, ends)
        return [Encoded(*row) for row in zip(ids, response, self.truncated.tolist(), strict=True)]


class TokenProcesses:
    """Processes that encode conversations; they end with this object.

    Args:
        model: whose tokenizer encodes.
        count: of processes.
    """

    def __init__(self, model: TokenizerSettings, count: int) -> None:
        import multiprocessing

        context = multiprocessing.get_context("spawn")  # a forked one cannot have its parent's GPU
        self._pool = ProcessPoolExecutor(count, context, _start, (model,))
        self._limit = 4 * count
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        for _ in range(count):  # they start while the model is loaded
            self._pool.submit(_ready)

    def encode_by_length(
        self, rows: list[list[Message]], side: str, part: Part | None
    ) -> Iterator[tuple[np.ndarray, list[Encoded]]]:
        """Blocks of rows of like length, longest first: row numbers (int64), and encoded rows.

        Args:
            side: `pool` or `queries`.
            part: see `encode_part`; None: whole conversations.

        Raises:
            TemplateRejected: the tokenizer's own template rejects a conversation.
            InputError: a process was killed.
        """
        blocks = list(blocks_by_length(rows))
        started = (
            self._pool.submit(_encode, [rows[i] for i in block], side, part) for block in blocks
        )
        results = ordered_results(started, self._limit, Future.result, no_progress)
        try:
            for block, flat in zip(blocks, results, strict=True):
                yield block, flat.split()
        except BrokenProcessPool:
            raise InputError(
                "a process that makes tokens was killed; the machine may have run out of memory. "
                "Finished work is kept: run `dvc repro` again."
            ) from None


#: (rows, side, part) → blocks of rows of like length: row numbers, encoded rows.
RowReader = Callable[[list, str, "Part | None"], Iterator[tuple[np.ndarray, list[Encoded]]]]


def row_reader(model: ModelSettings) -> RowReader:
    """What encodes rows ahead of a model: processes where there is a GPU to feed, else a thread."""
    import torch

    chat = load_chat(model)  # what is wrong with the tokenizer is found here
    count = process_count(torch.cuda.device_count()) if torch.cuda.is_available() else 0
    if count > 0:
        return TokenProcesses(model.tokenizer(), count).encode_by_length

    def read(rows: list, side: str, part: Part | None) -> Iterator[tuple[np.ndarray, list]]:
        return chat.encode_by_length(rows, lambda block: encode(chat, block, side, part))

    return read


def process_count(gpus: int) -> int:
    """Processes for each of some GPUs; 0 where there are too few cores for any."""
    return min(PROCESSES, cores() // max(gpus, 1) - 1)


def encode(chat: Chat, rows: list[list[Message]], side: str, part: Part | None) -> list[Encoded]:
    """Some conversations, or a part of each, as tokens: see `encode_part`."""
    return chat.encode(rows) if part is None else encode_part(chat, rows, side, part)


#: In a process: its encoder.
_chats: list[Chat] = []


def _start(model: TokenizerSettings) -> None:
    from dataselect.compute.local import exit_with_parent

    exit_with_parent()
    _chats.append(load_chat(model))


def _ready() -> None:
    """Does nothing."""


def _encode(rows: list[list[Message]], side: str, part: Part | None) -> Flat:
    encoded = encode(_chats[0], rows, side, part)
    return Flat(
        np.concatenate([row.ids for row in encoded]),
        np.concatenate([row.response for row in encoded]),
        np.asarray([len(row.ids) for row in encoded]),
        np.asarray([row.truncated for row in encoded]),
    )
