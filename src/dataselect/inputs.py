"""Reads rows as people have them: parquet, JSON, JSON lines; four forms of a conversation."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from dataselect.errors import InputError

ROLES = ("system", "user", "assistant")
#: ShareGPT's names of the speakers, and what other collections write.
SPEAKERS = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}

Message = dict[str, str]


class BadRow(ValueError):
    """A row that cannot be understood: expected, found."""


class Raw(NamedTuple):
    """A row as the file has it, and where: a record, or what is wrong with the line."""

    place: str
    stem: str
    record: dict[str, Any] | BadRow


def read(files: list[str]) -> Iterator[Raw]:
    """Every row of the files, in order, one at a time.

    Raises:
        InputError: a file is of no known kind, or damaged.
    """
    for name in files:
        stem = Path(name).name.split(".")[0]
        try:
            for number, record in _records(name):
                yield Raw(f"{name}:{number}", stem, record)
        except (OSError, EOFError) as error:
            raise InputError(f"{name}: cannot be read: {error}.") from None


def _records(name: str) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    kind = name.removesuffix(".gz").removesuffix(".zst")
    if kind.endswith((".parquet", ".pq")):
        yield from enumerate(_parquet(name), 1)
    elif kind.endswith((".jsonl", ".json", ".ndjson")):
        with _open(name) as file:
            start = file.read(1)
            while start.isspace():
                start = file.read(1)
        with _open(name) as file:
            if start == b"[":
                yield from enumerate(_array(name, file), 1)
            else:
                yield from _lines(file)
    else:
        raise InputError(
            f"{name}: unknown kind of file. Expected .parquet, .jsonl or .json "
            "(also .jsonl.gz, .jsonl.zst)."
        )


def _parquet(name: str) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(name) as file:
            for batch in file.iter_batches(batch_size=8_192):
                yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise InputError(f"{name}: not a parquet file: {error}.") from None


def _open(name: str) -> IO[bytes]:
    if name.endswith(".gz"):
        return gzip.open(name, "rb")  # ty: ignore[invalid-return-type]
    if name.endswith(".zst"):
        import zstandard

        return zstandard.open(name, "rb")
    return Path(name).open("rb")


def _array(name: str, file: IO[bytes]) -> Iterator[dict[str, Any] | BadRow]:
    try:
        records = json.load(file)
    except json.JSONDecodeError as error:
        place = f"{name}: line {error.lineno}, column {error.colno}"
        raise InputError(f"{place}: not JSON: {error.msg}.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: byte {error.start}: not UTF-8.") from None
    yield from (_record(one) for one in records)


def _lines(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    for number, line in enumerate(io.BufferedReader(file), 1):  # ty: ignore[invalid-argument-type]
        if not line.strip():
            continue
        try:
            yield number, _record(json.loads(line))
        except json.JSONDecodeError as error:
            yield number, BadRow(f"not JSON: {error.msg} at column {error.colno}")
        except UnicodeDecodeError as error:
            yield number, BadRow(f"not UTF-8: byte {error.start} of the line")


def _record(value: Any) -> dict[str, Any] | BadRow:
    if isinstance(value, dict):
        return value
    return BadRow(f"expected an object with messages, found {type(value).__name__}")


def messages(record: dict[str, Any]) -> list[Message]:
    """A row's conversation, whichever of the four forms it is in.

    `messages` (role, content); ShareGPT's `conversations` (from, value); alpaca's `instruction`,
    `input`, `output`; `prompt` and `completion`, as text or as messages. A `system` column beside
    the last three opens the conversation.

    Raises:
        BadRow: none of them is there, a role is unknown, or a content is not text.
    """
    if record.get("messages") is not None:
        return _turns(record["messages"], "messages", "role", "content")
    system = record.get("system") or record.get("system_prompt")
    head = [{"role": "system", "content": _is_text(system, "system")}] if system else []
    if record.get("conversations") is not None:
        return head + _turns(record["conversations"], "conversations", "from", "value")
    if record.get("instruction") is not None and record.get("output") is not None:
        asked = [record["instruction"], record.get("input") or ""]
        user = "\n\n".join(_is_text(part, "instruction and input") for part in asked if part)
        return head + _pair(user, _is_text(record["output"], "output"))
    if record.get("prompt") is not None:
        prompt, completion = record["prompt"], record.get("completion")
        if isinstance(prompt, str):
            return head + _pair(prompt, None if completion is None else _plain(completion))
        turns = _turns(prompt, "prompt", "role", "content")
        return head + turns + _answer(completion)
    found = ", ".join(record) or "nothing"
    raise BadRow(
        "no messages: expected a column `messages`, `conversations`, `instruction` and `output`, "
        f"or `prompt` and `completion`; found {found}"
    )


def _pair(user: str, assistant: str | None) -> list[Message]:
    turns = [{"role": "user", "content": user}]
    return turns if assistant is None else [*turns, {"role": "assistant", "content": assistant}]


def _plain(completion: Any) -> str:
    turns = _answer(completion)
    return "\n".join(turn["content"] for turn in turns)


def _answer(completion: Any) -> list[Message]:
    if completion is None:
        return []
    if isinstance(completion, str):
        return [{"role": "assistant", "content": completion}]
    return _turns(completion, "completion", "role", "content")


def _turns(turns: Any, column: str, role: str, content: str) -> list[Message]:
    if not isinstance(turns, list):
        raise BadRow(f"{column}: expected a list, found {type(turns).__name__}")
    answer = []
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, dict):
            raise BadRow(f"{column}: turn {number}: expected an object, found {turn!r:.60}")
        name = turn.get(role, turn.get("role"))
        name = SPEAKERS.get(str(name), name)
        if name not in ROLES:
            raise BadRow(f"unknown role {name!r} in turn {number}; expected one of {ROLES}")
        text = _is_text(turn.get(content, turn.get("content")), f"{column}: turn {number}")
        answer.append({"role": name, "content": text})
    return answer


def _is_text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise BadRow(f"{what}: expected text, found {type(value).__name__}")
    return value
