"""The script that holds a sentence model for another process, which it talks to over pipes.

`_sentence_process.py` starts it, with the interpreter of another environment: so it imports nothing
of this package. It ends when the process that started it closes its input, or is killed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from queue import SimpleQueue
from typing import IO, Any

#: The libraries whose versions may change the last bits of a vector.
LIBRARIES = ("torch", "transformers", "tokenizers", "sentence-transformers")

#: More bytes than any header has.
MOST_HEADER = 2**32


def write_message(stream: IO[bytes], header: dict[str, Any], payload: bytes = b"") -> None:
    """Writes a message: the length of a JSON header (8 bytes), the header, its `bytes` of data."""
    text = json.dumps({**header, "bytes": len(payload)}).encode()
    stream.write(len(text).to_bytes(8, "big") + text + payload)
    stream.flush()


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Reads what `write_message` wrote; None where the stream ends.

    Raises:
        ValueError: something else was written.
    """
    size = stream.read(8)
    if int.from_bytes(size, "big") > MOST_HEADER:
        raise ValueError(f"expected a message, found {size!r}")
    text = stream.read(int.from_bytes(size, "big")) if len(size) == 8 else b""
    if len(size) < 8 or len(text) < int.from_bytes(size, "big"):
        return None
    header = json.loads(text)
    payload = stream.read(header["bytes"])
    return (header, payload) if len(payload) == header["bytes"] else None


class Worker:
    """What does the calls of another process."""

    def __init__(self) -> None:
        self.model: Any = None

    def do(self, call: str, settings: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The reply to a call: a header, and the bytes of an array."""
        if call == "load":
            return self._load(**settings), b""
        if call == "prepare":
            texts, tokens = self.model.prepare(**settings)
            return {"texts": texts, "tokens": tokens}, b""
        vectors = self.model.encode(**settings)
        return {"shape": list(vectors.shape)}, vectors.tobytes()

    def _load(self, *, threads: int, memory: float, **settings: Any) -> dict[str, Any]:
        """Loads the model; the reply describes it, and the libraries' versions.

        Args:
            threads: that torch may use.
            memory: the share of the GPU's memory that it may use.
        """
        from importlib.metadata import version

        import torch

        torch.set_num_threads(threads)
        if memory < 1:
            torch.cuda.set_per_process_memory_fraction(memory)
        self.model = _neighbour("_sentence_model").SentenceModel(**settings)
        names = ("weights", "dimension", "dtype", "token_flops")
        described = {name: getattr(self.model, name) for name in names}
        return {**described, "versions": {name: version(name) for name in LIBRARIES}}


def _neighbour(name: str) -> Any:
    """A file beside this one as a module: an isolated interpreter does not look for it there."""
    import importlib.util
    from pathlib import Path

    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a file that is there
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _failure(error: BaseException) -> dict[str, Any]:
    """An error as the header of a reply."""
    import traceback

    return {
        "error": str(error),
        "types": [base.__name__ for base in type(error).__mro__],
        "errno": getattr(error, "errno", None),
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }


def _free_memory() -> None:
    import gc

    gc.collect()
    if "torch" in sys.modules:  # which frees nothing where no GPU was used
        sys.modules["torch"].cuda.empty_cache()


def _read_calls(stream: IO[bytes], calls: SimpleQueue) -> None:
    """Passes on what the parent writes; ends this process when the parent closes, or is killed."""
    while (message := read_message(stream)) is not None:
        calls.put(message[0])
    os._exit(0)


def main() -> None:
    """Does the calls that come through standard input; replies through standard output."""
    stream, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what libraries print would be read as a reply
    sys.stdout = sys.stderr  # which shows a line at once
    calls: SimpleQueue = SimpleQueue()
    threading.Thread(target=_read_calls, args=(stream, calls), daemon=True).start()
    worker = Worker()
    while True:
        call = calls.get()
        try:
            header, payload = worker.do(call["call"], call["settings"])
        except Exception as error:  # of any type: the parent decides what it means
            header, payload = _failure(error), b""
        if "error" in header:  # after the handler, so that what the call held is free by now
            _free_memory()
        write_message(replies, header, payload)


if __name__ == "__main__":
    main()
