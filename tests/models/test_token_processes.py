"""Tokens from other processes are those that this process makes."""

import numpy as np
import pytest

from dataselect.data.examples import Example
from dataselect.models import token_processes
from dataselect.models.chat import load_chat
from dataselect.models.token_processes import TokenProcesses, encode, process_count, row_reader
from tests.embed import turns
from tests.helpers import MODEL, mistake

ROWS = [turns("word " * (1 + n % 7), "w " * n) for n in range(300)]
ROWS += [turns("hello"), Example(turns("One?", "1"), prefill="It is ", max_tokens=3)]


def same(found, expected):
    assert [block.tolist() for block, _ in found] == [block.tolist() for block, _ in expected]
    for (_, rows), (_, others) in zip(found, expected, strict=True):
        for row, other in zip(rows, others, strict=True):
            np.testing.assert_array_equal(row.ids, other.ids)
            np.testing.assert_array_equal(row.response, other.response)
            assert row.truncated == other.truncated


@pytest.mark.slow
def test_processes_and_a_thread_encode_the_same_rows():
    processes = TokenProcesses(MODEL.tokenizer(), 2)
    for part in (None, "prompt", "response"):
        expected = list(row_reader(MODEL)(ROWS, "queries", part))
        same(list(processes.encode_by_length(ROWS, "queries", part)), expected)
    assert sum(len(block) for block, _ in expected) == len(ROWS) and len(expected) == 2
    for process in processes._pool._processes.values():
        process.kill()
    message = mistake(list, processes.encode_by_length(ROWS, "pool", None))
    assert "a process that makes tokens was killed" in message


def test_flat_arrays_hold_the_rows(monkeypatch):
    chat = load_chat(MODEL)
    monkeypatch.setattr(token_processes, "_chats", [chat])
    flat = token_processes._encode(ROWS[:20], "pool", None)
    same([(np.arange(20), flat.split())], [(np.arange(20), encode(chat, ROWS[:20], "pool", None))])
    assert flat.rows == 20


def test_every_gpu_has_its_share_of_the_cores(monkeypatch):
    counts = []
    for cores in (1, 2, 4, 64):
        monkeypatch.setattr(token_processes, "cores", lambda cores=cores: cores)
        counts.append([process_count(1), process_count(2)])
    assert counts == [[0, -1], [1, 0], [3, 1], [4, 4]]
