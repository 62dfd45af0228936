"""Tokens from other processes are those that this process makes."""

import os
import socket
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from dataselect.data.examples import Example
from dataselect.models import token_processes
from dataselect.models.chat import load_chat
from dataselect.models.token_processes import TokenProcesses, process_count, row_reader
from dataselect.models.token_worker import encode, encode_flat, serve
from tests.embed import turns
from tests.helpers import MODEL

ROWS = [turns("word " * (1 + n % 7), "w " * n) for n in range(300)]
ROWS += [turns("hello"), Example(turns("One?", "1"), prefill="It is ", max_tokens=3)]


def same(found, expected):
    assert [block.tolist() for block, _ in found] == [block.tolist() for block, _ in expected]
    for (_, rows), (_, others) in zip(found, expected, strict=True):
        for row, other in zip(rows, others, strict=True):
            np.testing.assert_array_equal(row.ids, other.ids)
            np.testing.assert_array_equal(row.response, other.response)
            assert row.truncated == other.truncated


@pytest.fixture
def expected():
    """The rows' tokens by this process's thread."""
    return list(row_reader(MODEL)(ROWS, "queries", None))


def in_threads(self):
    """As `TokenProcesses._start`, but the processes are threads of this one."""
    pairs = [Pipe() for _ in range(self._count)]
    self.others = [other for _, other in pairs]
    for other in self.others:
        Thread(target=serve, args=[other, MODEL.tokenizer()], daemon=True).start()
    self._await([own for own, _ in pairs])


def test_rows_are_encoded_here_until_enough_have_come(expected, monkeypatch):
    monkeypatch.setattr(TokenProcesses, "_start", in_threads)
    monkeypatch.setattr(token_processes, "ROWS_THAT_PAY", 2 * len(ROWS))
    processes = TokenProcesses(MODEL.tokenizer(), load_chat(MODEL), 2)
    same(list(processes.encode_by_length(ROWS, "queries", None)), expected)
    assert not processes._started and processes._ready == 0
    same(list(processes.encode_by_length(ROWS, "queries", None)), expected)
    assert processes._started and processes._ready == 2
    monkeypatch.delattr(token_processes, "encode_flat")  # this process does nothing now
    same(list(processes.encode_by_length(ROWS, "queries", None)), expected)
    part = list(row_reader(MODEL)(ROWS, "queries", "prompt"))
    same(list(processes.encode_by_length(ROWS, "queries", "prompt")), part)


def test_where_a_process_ends_or_fails_this_one_does_its_work(expected, monkeypatch):
    monkeypatch.setattr(TokenProcesses, "_start", in_threads)
    monkeypatch.setattr(token_processes, "ROWS_THAT_PAY", 0)
    processes = TokenProcesses(MODEL.tokenizer(), load_chat(MODEL), 2)
    bad = [{"role": "user"}]
    with pytest.raises(KeyError, match="content"):
        list(processes.encode_by_length([bad], "pool", None))
    same(list(processes.encode_by_length(ROWS, "queries", None)), expected)
    with monkeypatch.context() as patch:
        patch.setattr("dataselect.models.token_worker.encode_flat", lambda *_: 1 / 0)
        same(list(processes.encode_by_length(ROWS, "queries", None)), expected)
    for ended in (1, 2):
        with socket.socket(fileno=os.dup(processes.others.pop().fileno())) as other:
            other.shutdown(socket.SHUT_RDWR)
        for _ in range(2):
            same(list(processes.encode_by_length(ROWS, "queries", None)), expected)
        assert processes._ready == 2 - ended


SCRIPT = """
import time
from dataselect.models import token_processes
from tests.helpers import MODEL
from tests.models.test_token_processes import ROWS, TokenProcesses, load_chat, row_reader, same
print("begins")
token_processes.ROWS_THAT_PAY = 0
processes = TokenProcesses(MODEL.tokenizer(), load_chat(MODEL), 2)
for _ in range(2):
    expected = list(row_reader(MODEL)(ROWS, "pool", None))
    same(list(processes.encode_by_length(ROWS, "pool", None)), expected)
    while processes._ready < 2:
        time.sleep(0.05)
print("ends")
"""


@pytest.mark.torture
def test_a_script_without_a_guard_for_its_main_part_runs_once(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    path = os.pathsep.join(filter(None, [*sys.path, str(Path(__file__).parents[2])]))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": path}, timeout=300,
    )  # fmt: skip
    assert done.stdout.split() == ["begins", "ends"]


def test_flat_arrays_hold_the_rows():
    chat = load_chat(MODEL)
    flat = encode_flat(chat, ROWS[:20], "pool", None)
    same([(np.arange(20), flat.split())], [(np.arange(20), encode(chat, ROWS[:20], "pool", None))])
    assert flat.rows == 20


def test_every_gpu_has_its_share_of_the_cores(monkeypatch):
    counts = []
    for cores in (1, 2, 4, 64):
        monkeypatch.setattr(token_processes, "cores", lambda cores=cores: cores)
        counts.append([process_count(1), process_count(2)])
    assert counts == [[0, -1], [1, 0], [3, 1], [4, 4]]
