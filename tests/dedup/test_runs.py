"""Runs of words in texts: every place, whatever the hashes."""

import numpy as np
import pytest

from dataselect.dedup import runs as module
from dataselect.dedup.runs import RunIndex, parts, word_codes

#: 1 2 3, 2 3, 1 2 3 4 5 and 4 as runs of this text.
WORDS = np.array([1, 2, 3, 4, 5, -1])
STARTS, LENGTHS = np.array([0, 1, 0, 3]), np.array([3, 2, 5, 1])


def places(text, codes, key_words=3):
    """Every position and run, in order."""
    index = RunIndex(WORDS, STARTS, LENGTHS, key_words, codes)
    positions, runs = index.find(np.array(text, int))
    return sorted(zip(positions.tolist(), runs.tolist(), strict=True))


#: Codes under which all hashes are equal, differ in a bit, and hardly ever are equal.
CODES = {"equal": np.zeros(7, np.uint64), "a bit": word_codes(6) % 2, "random": word_codes(6)}


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("key_words", [1, 2, 3, 9])
def test_by_hand_whatever_the_hashes(codes, key_words):
    text = [2, 3, -1, 1, 2, 3, 4, -1, 1, 2, 3, 4, 5, -1, 1, 2]
    assert places(text, CODES[codes], key_words) == [
        (0, 1),
        *((3, 0), (4, 1), (6, 3)),
        *((8, 0), (8, 2), (9, 1), (11, 3)),
    ]


def test_nothing_is_found_in_nothing():
    for text in ([], [-1], [1]):
        assert places(text, CODES["random"]) == []
    none = np.array([], int)
    positions, runs = RunIndex(none, none, none, 3, word_codes(6)).find(WORDS)
    assert positions.tolist() == runs.tolist() == []


def test_few_candidates_at_a_time_change_nothing(monkeypatch):
    text = np.random.default_rng(0).integers(-1, 6, 500).tolist()
    found = places(text, CODES["random"])
    assert len(found) > 50
    monkeypatch.setattr(module, "CANDIDATES", 3)
    assert places(text, CODES["random"]) == found
    assert places(text, CODES["equal"]) == found


def test_a_long_run_needs_no_more_than_its_key_in_the_index():
    words = np.arange(1_000)
    index = RunIndex(words, np.array([0]), np.array([1_000]), 8, word_codes(1_000))
    assert index.find(words)[0].tolist() == [0]
    assert index.find(words[:-1])[0].tolist() == []


def test_parts():
    assert list(parts(np.array([1, 1, 5, 1, 9, 0]), 4)) == [
        slice(0, 3),
        slice(3, 4),
        slice(4, 5),
        slice(5, 6),
    ]
    assert list(parts(np.array([], int), 4)) == [slice(0, 0)]
