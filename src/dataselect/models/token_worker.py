"""What a process does that makes tokens for another one; `token_processes` starts it."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dataselect.models.chat import Chat, load_chat
from dataselect.models.parts import Part, encode_part
from dataselect.models.settings import TokenizerSettings
from dataselect.models.tokens import Encoded

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from dataselect.data.tables import Message


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


def encode(chat: Chat, rows: list[list[Message]], side: str, part: Part | None) -> list[Encoded]:
    """Some conversations, or a part of each, as tokens: see `encode_part`."""
    return chat.encode(rows) if part is None else encode_part(chat, rows, side, part)


def encode_flat(chat: Chat, rows: list[list[Message]], side: str, part: Part | None) -> Flat:
    """The same as flat arrays."""
    encoded = encode(chat, rows, side, part)
    return Flat(
        np.concatenate([row.ids for row in encoded]),
        np.concatenate([row.response for row in encoded]),
        np.asarray([len(row.ids) for row in encoded]),
        np.asarray([row.truncated for row in encoded]),
    )


def main() -> None:
    """Serves sockets, each in a process of its own; the arguments are their numbers, and a model.

    The libraries are imported once, for all. Tokenizers are loaded after the fork: their threads
    would not be there in a process that was forked later.
    """
    from multiprocessing.connection import Connection

    from transformers import AutoTokenizer  # noqa: F401  (imports what takes seconds)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the other process that decides
    sockets, model = json.loads(sys.argv[1]), TokenizerSettings(**json.loads(sys.argv[2]))
    own = sockets[0]
    for number in sockets[1:]:
        if os.fork() == 0:
            own = number
            break
    for number in sockets:
        if number != own:
            os.close(number)  # or nobody learns that another process has ended
    serve(Connection(own), model)


def serve(connection: Connection, model: TokenizerSettings) -> None:
    """Says `True` once it is ready, then encodes what it is sent until the other side ends.

    Rows that it fails at are answered with None: who wants them finds the reason anew.
    """
    try:
        chat = load_chat(model)
        connection.send(True)
        while True:
            rows, side, part = connection.recv()
            try:
                flat = encode_flat(chat, rows, side, part)
            except Exception:
                flat = None
            connection.send(flat)
    except (EOFError, ConnectionError):
        return
