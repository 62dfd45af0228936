"""Tokens in files: written once and whole, read without holding the rows in memory."""

import json
import pickle
import subprocess
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from dataselect.models.tokens import Encoded
from dataselect.train.rows import encode_file
from dataselect.train.token_files import row_lengths, stored_rows


def row(number, length):
    """A row of so many tokens, the last of them a response."""
    response = np.arange(length) == length - 1
    return Encoded(np.arange(number, number + length, dtype=np.int32), response)


BLOCKS = [[row(10, 3), row(20, 1), row(30, 2)], [], [row(40, 5)]]


def stored(folder, places=None):
    return stored_rows(folder / "tokens", lambda: iter(BLOCKS), places)


def test_rows_come_back_in_the_order_of_their_places(tmp_path):
    rows = stored(tmp_path, np.asarray([2, 0, 3, 1]))
    assert [r.ids.tolist() for r in rows] == [[40, 41, 42, 43, 44], [10, 11, 12], [30, 31]]
    assert [r.response.tolist() for r in rows[1:]] == [[False, False, True], [False, True]]
    assert rows.dropped == 1  # a first token is not predicted
    assert row_lengths(list(rows)).tolist() == row_lengths(rows).tolist() == [5, 3, 2]
    assert [r.dtype for r in rows[0][:2]] == [np.int32, np.bool_]
    with pytest.raises(IndexError):
        rows[3]


def test_rows_that_are_there_are_not_encoded_again(tmp_path):
    stored(tmp_path)
    again = stored_rows(tmp_path / "tokens", lambda: pytest.fail("encoded again"))
    assert len(again) == 3


def test_a_failure_leaves_nothing_and_what_a_kill_left_is_replaced(tmp_path):
    def fail():
        yield BLOCKS[0]
        raise ValueError

    with pytest.raises(ValueError):
        stored_rows(tmp_path / "tokens", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.lock"]
    (tmp_path / ".tokens").mkdir()
    (tmp_path / ".tokens" / "ids").write_bytes(b"half")
    assert len(stored(tmp_path)) == 3


def test_files_are_removed_at_the_end_but_not_where_a_run_is_interrupted(tmp_path):
    with pytest.raises(KeyboardInterrupt), stored(tmp_path):
        raise KeyboardInterrupt
    assert (tmp_path / "tokens").exists()
    with pytest.raises(ValueError), stored(tmp_path):
        raise ValueError
    assert not (tmp_path / "tokens").exists()
    with stored(tmp_path):
        pass
    assert not (tmp_path / "tokens").exists()


def test_no_row_with_a_response_is_no_row(tmp_path):
    rows = stored_rows(tmp_path / "tokens", lambda: [[row(20, 1)]])
    assert (list(rows), rows.dropped) == ([], 1)


def test_memory_does_not_hold_the_rows_that_are_encoded_or_read(tmp_path, monkeypatch):
    monkeypatch.setattr("dataselect.train.rows.ROWS_PER_BLOCK", 256)
    count, length = 20_000, 300
    turns = [{"role": "user", "content": "Say."}, {"role": "assistant", "content": "word"}]
    file = tmp_path / "train.jsonl"
    file.write_text((json.dumps({"messages": turns}) + "\n") * count)
    chat = SimpleNamespace(encode=lambda block: [row(0, length) for _ in block], max_tokens=length)
    tracemalloc.start()
    try:
        rows = encode_file(file, chat, tmp_path / "tokens")
        copy = pickle.loads(pickle.dumps(rows))  # as it travels to another process
        tokens = sum(len(r.ids) for r in copy)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert tokens == count * length  # 30 MB
    assert peak < 4e6
    assert len(pickle.dumps(rows)) < 1_000


WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from dataselect.models.tokens import Encoded
from dataselect.train.token_files import row_lengths, stored_rows

home, name = Path(sys.argv[1]), sys.argv[2]

def encode():
    with (home / "writers").open("a") as file:
        file.write(name)
    time.sleep(0.5)  # the other one finds it half-written
    yield [Encoded(np.arange(4, dtype=np.int32), np.ones(4, dtype=bool))]

(home / f"ready {name}").touch()
while len(list(home.glob("ready *"))) < 2:
    time.sleep(0.01)
rows = stored_rows(home / "tokens", encode)
print((rows.folder / "ids").stat().st_ino, rows[0].ids.tolist())
"""


@pytest.mark.slow
def test_of_two_processes_one_writes_and_both_read_its_file(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name], stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0] == outputs[1]
    assert outputs[0].endswith("[0, 1, 2, 3]\n")
    assert (tmp_path / "writers").read_text() in ("a", "b")
