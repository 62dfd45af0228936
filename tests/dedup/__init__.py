"""What the tests of several files share."""

import json
from pathlib import Path

from dataselect.dedup.truncation import Truncation

#: Finds no row that `max_tokens` cuts off.
NONE_CUT_OFF = Truncation(lambda rows: [False] * len(rows))


def write(name, rows):
    """A file of JSON lines in the working directory."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    Path(name).write_text("".join(lines), encoding="utf-8")
    return name


def row(user, assistant=None, **columns):
    """A row of one turn per side; without an assistant, of the question alone."""
    turns = [{"role": "user", "content": user}]
    if assistant is not None:
        turns.append({"role": "assistant", "content": assistant})
    return {**columns, "messages": turns}


def turns(*pairs):
    """Messages of (role, content) pairs."""
    return [{"role": role, "content": content} for role, content in pairs]
