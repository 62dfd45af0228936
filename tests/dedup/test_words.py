"""Texts as words, and words as numbers."""

import numpy as np
import polars as pl
import pytest

from dataselect.dedup.words import UNKNOWN, Vocabulary, ranges, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n…!", []),
        ("Don't stop: 3.5 x_1", ["Don", "t", "stop", "3", "5", "x_1"]),
        ("naïve ÉTÉ Ωμέγα", ["naïve", "ÉTÉ", "Ωμέγα"]),
        ("cafe\u0301 नमस्ते", ["cafe\u0301", "नमस्ते"]),  # marks belong to their letters
        ("日本語3月のGPU", ["日", "本", "語", "3", "月", "の", "GPU"]),
        ("カナ กิน ລາວ ខ្ម", ["カ", "ナ", "ก", "ิ", "น", "ລ", "າ", "ວ", "ខ", "្", "ម"]),
        ("ကခ བོད", ["က", "ခ", "བ", "ོ", "ད"]),
        ("한국어 사람", ["한국어", "사람"]),  # Korean has spaces
    ],
)
def test_words_by_hand(text, words):
    assert split_words(pl.Series([text])).to_list() == [words]


def test_a_lower_cased_word_is_a_word():
    """So the words of a question, joined and split again, are the same words."""
    every = [chr(code) for code in range(0x30000) if not 0xD800 <= code < 0xE000]
    words = split_words(pl.Series(["".join(every)])).explode()
    lowered = split_words(pl.Series([" ".join(words)]).str.to_lowercase()).explode()
    assert lowered.to_list() == words.str.to_lowercase().to_list()


def test_numbers_by_hand():
    vocabulary = Vocabulary(pl.Series(["The cat", "", "the DOG"]))
    assert vocabulary.size == 3
    encoded = vocabulary.encode(pl.Series(["Cat, the cat", "", "a dog"]))
    the, cat, dog = 0, 1, 2
    assert encoded.ids.tolist() == [cat, the, cat, UNKNOWN, UNKNOWN, UNKNOWN, dog, UNKNOWN]
    assert encoded.starts.tolist() == [0, 4, 5]
    assert encoded.counts.tolist() == [3, 0, 2]
    assert encoded.text_of(np.arange(8)).tolist() == [0, 0, 0, 0, 1, 2, 2, 2]


def test_no_text_and_no_vocabulary():
    encoded = Vocabulary(pl.Series(["."])).encode(pl.Series(["a b"]))
    assert encoded.ids.tolist() == [UNKNOWN] * 3
    assert Vocabulary(pl.Series(["a"])).encode(pl.Series([], dtype=pl.String)).ids.tolist() == []


def test_ranges():
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert ranges(np.array([], int), np.array([], int)).tolist() == []
