"""Conversations as sets of five-word sequences, against plain Python's sets of texts."""

import re

import numpy as np
import polars as pl
import pytest

from dataselect.data import tables
from dataselect.dedup.sequences import Sequences, unique_in_rows, word_sequences
from tests.dedup import turns


def sequences(*texts):
    """The sequences of conversations; `|` in a text begins the next turn."""
    rows = [turns(*(("user", part) for part in text.split("|"))) for text in texts]
    return word_sequences(pl.Series(rows, dtype=tables.MESSAGES))


def lists(found):
    return [
        found.hashes[a:b].tolist() for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)
    ]


def equal(first, second):
    """Whether two texts have the same sequences."""
    left, right = lists(sequences(first, second))
    return left == right


def test_a_row_has_a_sequence_for_every_five_words_in_a_row():
    found = lists(sequences("a b c d e f g", "a b c d e", "b c d e f", "a b c d e a b c d e"))
    assert [len(row) for row in found] == [3, 1, 1, 6]
    assert found[0][:2] == [found[1][0], found[2][0]]
    assert found[3][0] == found[3][5] == found[1][0]
    assert len(set(found[3])) == 5


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_fewer_words_are_one_sequence(count):
    short, longer, shorter = (list("abcde")[:n] for n in (count, count + 1, count - 1))
    found = lists(sequences(*(" ".join(words) for words in (short, longer, shorter, short))))
    assert len(found[0]) == 1
    assert found[0] == found[3]
    assert found[0] not in found[1:3]


def test_without_words_there_are_none():
    assert lists(sequences("?! …", "", "a")) == [[], [], sequences("a").hashes.tolist()]
    assert sequences().starts.tolist() == [0]
    assert lists(sequences("", "")) == [[], []]


def test_words_are_lower_cased_and_run_through_the_turns():
    assert equal("The cat, sat: on THE mat!", "the cat sat|on the mat")
    assert equal("ÉCOLE ΣΟΦΟΣ x_1 2", "école! σοφος? x_1 2")
    assert not equal("the cat sat on the mat", "the cat on sat the mat")
    assert not equal("a b", "ab")


def test_characters_are_words_where_no_space_divides_them():
    found = lists(sequences("我喜欢吃苹果", "我 喜 欢 吃 苹", "ฉันรักแมว", "ab中cd", "ab 中 cd"))
    assert [len(row) for row in found] == [2, 1, 5, 1, 1]
    assert found[0][0] == found[1][0]
    assert found[3] == found[4]


def test_sets_are_those_of_plain_python():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abc"), rng.integers(0, 60))) for _ in range(200)]
    plain = []
    for text in texts:
        words = re.findall(r"\w+", text)
        parts = [tuple(words[i : i + 5]) for i in range(max(len(words) - 4, 1))]
        plain.append(set(parts) if words else set())
    found = [set(row) for row in lists(unique_in_rows(sequences(*texts)))]
    assert [len(row) for row in found] == [len(row) for row in plain]
    for i in range(0, 200, 2):
        assert len(found[i] & found[i + 1]) == len(plain[i] & plain[i + 1])


def test_unique_in_rows_by_hand():
    repeated = Sequences(np.array([5, 3, 5, 3, 3]), np.array([0, 3, 3, 5]))
    found = unique_in_rows(repeated)
    assert (found.hashes.tolist(), found.starts.tolist()) == ([3, 5, 3], [0, 2, 2, 3])
