"""Conversations → tokens in other processes, so that the one that feeds a GPU waits for none."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from dataselect.compute import no_progress, ordered_results
from dataselect.compute.threads import cores
from dataselect.models.batches import blocks_by_length
from dataselect.models.chat import ROWS_PER_BLOCK, Chat, load_chat
from dataselect.models.parts import Part
from dataselect.models.settings import ModelSettings, TokenizerSettings
from dataselect.models.token_worker import Flat, encode, encode_flat, main
from dataselect.models.tokens import Encoded

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from dataselect.data.tables import Message

#: Processes for a GPU, where there are cores for them.
PROCESSES = 4

#: Rows after which they start. Importing what they need takes 4.1 s of processor time, the tokens
#: of a real row 0.53 ms (a vocabulary of 8,192; 207 tokens a row).
ROWS_THAT_PAY = 8_192


class TokenProcesses:
    """Encodes conversations: in this process at first, then in others, which end with this object.

    Once enough rows have come, the others start; until they are ready, and where one ends, this
    process does the work. They are no children of `multiprocessing`: it would run the user's script
    again in each of them.

    Args:
        model: whose tokenizer encodes.
        chat: its encoder in this process.
        count: of processes.
    """

    def __init__(self, model: TokenizerSettings, chat: Chat, count: int) -> None:
        self._model, self._chat, self._count = model, chat, count
        self._threads = ThreadPoolExecutor(count)  # each waits for one process
        self._lock, self._ready, self._rows, self._started = Lock(), 0, 0, False
        #: Who has nothing to do: a process's connection; None: this process.
        self._idle: SimpleQueue[Connection | None] = SimpleQueue()
        self._idle.put(None)
        weakref.finalize(self, self._threads.shutdown, wait=False, cancel_futures=True)

    def encode_by_length(
        self, rows: list[list[Message]], side: str, part: Part | None
    ) -> Iterator[tuple[np.ndarray, list[Encoded]]]:
        """Blocks of rows of like length, longest first: row numbers (int64), and encoded rows.

        Args:
            side: `pool` or `queries`.
            part: see `encode_part`; None: whole conversations.

        Raises:
            TemplateRejected: the tokenizer's own template rejects a conversation.
        """
        self._rows += len(rows)
        if self._rows >= ROWS_THAT_PAY and not self._started:
            self._started = True
            self._start()
        blocks = list(blocks_by_length(rows, ROWS_PER_BLOCK))
        started = (
            self._threads.submit(self._encode, [rows[i] for i in block], side, part)
            for block in blocks
        )
        results = ordered_results(started, 4 * self._count, Future.result, no_progress)
        for block, flat in zip(blocks, results, strict=True):
            yield block, flat.split()

    def _encode(self, *job: Any) -> Flat:
        connection, flat = self._idle.get(), None
        try:
            if connection is not None:
                connection.send(job)
                flat = connection.recv()
        except (EOFError, OSError):  # it was killed
            connection = None
            with self._lock:
                self._ready -= 1
        try:
            return encode_flat(self._chat, *job) if flat is None else flat
        finally:
            if connection is not None or not self._ready:
                self._idle.put(connection)

    def _start(self) -> None:
        from multiprocessing.connection import Connection

        pairs = [socket.socketpair() for _ in range(self._count)]
        theirs = [their.fileno() for _, their in pairs]
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {main.__module__} import main; main()",
             json.dumps(theirs), json.dumps(asdict(self._model))],
            pass_fds=theirs, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        connections = [Connection(own.detach()) for own, _ in pairs]
        for _, their in pairs:
            their.close()
        weakref.finalize(self, _end, process, connections)
        Thread(target=self._await, args=[connections], daemon=True).start()

    def _await(self, connections: list[Connection]) -> None:
        """Takes each process in as soon as it is ready; this one then stops to encode."""
        for connection in connections:
            try:
                connection.recv()
            except (EOFError, OSError):  # it could not start: there are the others, or this process
                continue
            with self._lock:
                self._ready += 1
            self._idle.put(connection)


def _end(process: subprocess.Popen[bytes], connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()  # which ends the process at its other side
    process.kill()  # the first one, should it be importing still
    process.wait()


#: (rows, side, part) → blocks of rows of like length: row numbers, encoded rows.
RowReader = Callable[[list, str, "Part | None"], Iterator[tuple[np.ndarray, list[Encoded]]]]


def row_reader(model: ModelSettings) -> RowReader:
    """What encodes rows ahead of a model: processes where there is a GPU to feed, else a thread."""
    import torch

    chat = load_chat(model)  # what is wrong with the tokenizer is found here
    count = process_count(torch.cuda.device_count()) if torch.cuda.is_available() else 0
    if count > 0:
        return TokenProcesses(model.tokenizer(), chat, count).encode_by_length

    def read(rows: list, side: str, part: Part | None) -> Iterator[tuple[np.ndarray, list]]:
        return chat.encode_by_length(rows, lambda block: encode(chat, block, side, part))

    return read


def process_count(gpus: int) -> int:
    """Processes for each of some GPUs; 0 where there are too few cores for any."""
    return min(PROCESSES, cores() // max(gpus, 1) - 1)
