"""Conversations → their sets of five-word sequences, as hashes: what near-duplicates share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from dataselect.dedup.words import split_words

#: Words in a sequence.
SEQUENCE_WORDS = 5

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Sequences(NamedTuple):
    """Hashes of sequences, int64, not negative; those of row i are starts[i]:starts[i + 1]."""

    hashes: np.ndarray
    starts: np.ndarray


def word_sequences(messages: pl.Series) -> Sequences:
    """The sequences of five words of every conversation, in order, with repetitions.

    Words are lower-cased runs of Unicode letters, digits and underscores. They run through all
    turns; roles don't count. A conversation of fewer words has a single sequence: all of them.
    Without a word it has none. Hashes have 63 bits: two sequences are taken for the same by
    mistake once in 10^19 pairs.

    Args:
        messages: conversations: `tables.MESSAGES`, b.
    """
    contents = pl.element().struct.field("content")
    texts = messages.to_frame("messages").select(
        pl.col("messages").list.eval(contents).list.join("\n").str.to_lowercase()
    )["messages"]
    words = split_words(texts)
    counts = words.list.len().to_numpy().astype(np.int64)
    hashes = words.filter(pl.Series(counts > 0)).explode(empty_as_null=False).hash(0).to_numpy()
    return _join_words(hashes, counts)


def _join_words(words: np.ndarray, counts: np.ndarray) -> Sequences:
    """The hashes of all sequences, from the hashes of the words and their number in each row."""
    per_row = np.where(counts > 0, np.maximum(counts - SEQUENCE_WORDS + 1, 1), 0)
    starts = offsets(per_row)
    # A sequence's first word: the row's first word, and how far the sequence is from the row's.
    shift = np.repeat(offsets(counts)[:-1] - starts[:-1], per_row)
    first = np.arange(starts[-1]) + shift
    length = np.repeat(np.minimum(counts, SEQUENCE_WORDS), per_row)
    hashes = np.zeros(len(first), dtype=np.uint64)
    for step in range(SEQUENCE_WORDS):
        word = words[np.minimum(first + step, max(len(words) - 1, 0))]
        hashes = np.where(step < length, hashes * _MULTIPLIER + word, hashes)
    hashes = mix_bits(hashes) >> np.uint64(1)
    return Sequences(hashes.astype(np.int64), starts)


def unique_in_rows(sequences: Sequences) -> Sequences:
    """The same sets: sorted, and each sequence once a row."""
    row = np.repeat(np.arange(len(sequences.starts) - 1), np.diff(sequences.starts))
    order = np.lexsort((sequences.hashes, row))
    hashes, row = sequences.hashes[order], row[order]
    new = np.ones(len(hashes), dtype=bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (row[1:] != row[:-1])
    counts = np.bincount(row[new], minlength=len(sequences.starts) - 1)
    return Sequences(hashes[new], offsets(counts))


def mix_bits(hashes: np.ndarray) -> np.ndarray:
    """The finishing step of SplitMix64: every bit of a hash (uint64) comes to depend on all."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def offsets(counts: np.ndarray) -> np.ndarray:
    """Where parts of these lengths begin, and where the last ends: int64, one more."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
