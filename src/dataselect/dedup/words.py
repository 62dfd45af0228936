"""Texts → words → numbers, with Polars: many texts at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

#: Scripts that put no space between words: each of their characters is a word.
SCRIPTS = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
_CHARACTERS = "".join(rf"\p{{{script}}}" for script in SCRIPTS)
_WORD = rf"[\w--[{_CHARACTERS}]]+|[{_CHARACTERS}]"

#: The number of a word that is not in the vocabulary; it also follows the last word of each text.
UNKNOWN = -1


def split_words(texts: pl.Series) -> pl.Series:
    """The words of each text, as they stand there: lists of texts.

    A word is a run of Unicode's word characters (letters, marks, digits, underscores), or one
    character of a script that puts no space between words.
    """
    return texts.str.extract_all(_WORD)


class Encoded(NamedTuple):
    """Texts as numbers of words.

    Attributes:
        ids: all words, text after text; `UNKNOWN` follows each text. int32.
        starts: where each text begins in `ids`: int64.
        counts: words of each text: int64.
    """

    ids: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    def text_of(self, positions: np.ndarray) -> np.ndarray:
        """The number of the text that each position of `ids` belongs to."""
        return np.searchsorted(self.starts, positions, side="right") - 1


class Vocabulary:
    """The different words of some texts, lower-cased, each with a number.

    Args:
        texts: whose words it has.
    """

    def __init__(self, texts: pl.Series) -> None:
        different = _lower(split_words(texts)).unique(maintain_order=True)
        self.size = different.len()
        self._numbers = pl.Enum(different)

    def encode(self, texts: pl.Series) -> Encoded:
        """The words of each text, lower-cased, as numbers."""
        words = split_words(texts)
        counts = words.list.len().to_numpy().astype(np.int64)
        starts = np.cumsum(counts + 1) - (counts + 1)
        flat = _lower(words).cast(self._numbers, strict=False).to_physical()
        ids = np.full(int(counts.sum()) + len(texts), UNKNOWN, dtype=np.int32)
        # Every text before a word has put one separator there.
        places = np.arange(flat.len()) + np.repeat(np.arange(len(texts)), counts)
        ids[places] = flat.cast(pl.Int32).fill_null(UNKNOWN).to_numpy()
        return Encoded(ids, starts, counts)


def _lower(words: pl.Series) -> pl.Series:
    """Lists of words as a single column of words, lower-cased."""
    return words.explode(empty_as_null=False).str.to_lowercase()


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers from each start on, so many as its length, one after another: int64."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
