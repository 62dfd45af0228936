"""The tests' questions and long answers, as runs of words that are looked for in the pool."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from dataselect.dedup.runs import RunIndex, word_codes
from dataselect.dedup.words import Encoded, Vocabulary, ranges, split_words

#: What stands in more than this share of a task's tests, and in two at least, tells none apart.
COMMON_SHARE = 0.05

#: A question that stands whole in a turn must be that of more tests, so many at least.
COMMON_QUESTIONS = 10


class Postings(NamedTuple):
    """Which items belong to each run: `values`, run after run."""

    starts: np.ndarray
    counts: np.ndarray
    values: np.ndarray

    def expand(self, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The items of these runs: for each, its place in `runs`, and the item."""
        counts = self.counts[runs]
        values = self.values[ranges(self.starts[runs], counts)]
        return np.repeat(np.arange(len(runs)), counts), values


class Runs(NamedTuple):
    """Runs of words: where they stand in a text, how long they are, and what belongs to each."""

    index: RunIndex
    lengths: np.ndarray
    postings: Postings


class Questions(NamedTuple):
    """The questions and long answers of the tests.

    Attributes:
        vocabulary: all their words.
        ngram: how many words in a row must be the same for them to match.
        grams: the n-grams of long questions; to each belong positions in all questions' words.
        test_of: the test of each of these positions: int64.
        countable: words of each test's question that stand in one of `grams`: int64.
        complete: the questions without such n-grams; to each belong tests.
        answers: the long gold answers; to each belong tests.
    """

    vocabulary: Vocabulary
    ngram: int
    grams: Runs
    test_of: np.ndarray
    countable: np.ndarray
    complete: Runs
    answers: Runs


def question_texts(tests: pl.DataFrame) -> pl.Series:
    """Each test's own question: its last user turn, after the shots; empty where it has none.

    A prefill is no part of it. In `raw` text the turn may hold the shots too: `COMMON_SHARE` then
    leaves out what the tests share.
    """
    turns = tests.select("messages").with_row_index("test").explode("messages").unnest("messages")
    last = turns.filter(role="user").group_by("test").agg(pl.col("content").last())
    numbers = pl.DataFrame({"test": range(tests.height)}, schema={"test": turns.schema["test"]})
    joined = numbers.join(last, on="test", how="left", maintain_order="left")
    return joined["content"].fill_null("")


def index_questions(tests: pl.DataFrame, ngram: int) -> Questions:
    """Makes the index of all tests.

    Args:
        tests: a `tests` table.
        ngram: how many words in a row must be the same for them to match.
    """
    texts, answers = question_texts(tests), _answers(tests)
    vocabulary = Vocabulary(pl.concat([texts, answers["text"]]))
    codes = word_codes(vocabulary.size)
    encoded = vocabulary.encode(texts)
    test_of = np.repeat(np.arange(tests.height), encoded.counts + 1)  # and of the separators
    positions, numbers = _rare_grams(tests["task"], encoded, test_of, vocabulary.size, ngram)
    countable = np.bincount(
        test_of[positions],
        covered_words(positions, test_of[positions], ngram),
        minlength=tests.height,
    )
    rest = np.flatnonzero((countable == 0) & (encoded.counts > 0))
    questions = pl.DataFrame({"test": rest, "text": texts.gather(rest)})
    common = _is_common(
        questions.select("test", item=_normal(texts.gather(rest))), tests["task"], COMMON_QUESTIONS
    )
    questions = questions.filter(~common)
    long_answers = _long_answers(tests["task"], answers, ngram)
    return Questions(
        vocabulary,
        ngram,
        _grams(encoded, positions, numbers, ngram, codes),
        test_of,
        countable.astype(np.int64),
        _complete_runs(questions, vocabulary, ngram, codes),
        _complete_runs(long_answers, vocabulary, ngram, codes),
    )


def covered_words(positions: np.ndarray, owners: np.ndarray, ngram: int) -> np.ndarray:
    """How many words each n-gram covers that the next one of its owner does not: int64.

    Args:
        positions: where the n-grams begin, ascending within each owner.
        owners: what each belongs to; equal ones stand together.
    """
    covered = np.full(len(positions), ngram)
    same = np.flatnonzero(owners[1:] == owners[:-1])
    covered[same] = np.minimum(ngram, positions[same + 1] - positions[same])
    return covered


def _answers(tests: pl.DataFrame) -> pl.DataFrame:
    """All gold answers: the test's number and the text."""
    golds = pl.coalesce("answers", pl.concat_list("answer"))
    numbered = tests.select(golds.alias("text")).with_row_index("test")
    return numbered.explode("text").drop_nulls().cast({"test": pl.Int64})


def _rare_grams(
    tasks: pl.Series, encoded: Encoded, test_of: np.ndarray, vocabulary: int, ngram: int
) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams that few tests of their task share: positions, ascending, and a number for each.

    The same words have the same number.
    """
    counts = np.maximum(encoded.counts - ngram + 1, 0)
    positions = ranges(encoded.starts, counts)
    numbers = encoded.ids[positions].astype(np.int64)
    for offset in range(1, ngram):
        longer = numbers * vocabulary + encoded.ids[positions + offset]
        numbers = np.unique(longer, return_inverse=True)[1]
    frame = pl.DataFrame({"test": test_of[positions], "item": numbers})
    rare = ~_is_common(frame, tasks).to_numpy()
    return positions[rare], numbers[rare]


def _is_common(items: pl.DataFrame, tasks: pl.Series, least: int = 2) -> pl.Series:
    """Whether an item stands in so many tests of its task that it tells none of them apart: bool.

    Args:
        items: `test`, its number, and `item`.
        tasks: the task of every test.
        least: so many tests at least.
    """
    items = items.with_columns(task=tasks.gather(items["test"]))
    sizes = tasks.alias("task").to_frame().group_by("task").agg(tests=pl.len())
    counts = items.unique(["test", "item"]).group_by("task", "item").agg(found=pl.len())
    joined = items.join(counts, on=["task", "item"], how="left", maintain_order="left").join(
        sizes, on="task", how="left", maintain_order="left"
    )
    found = pl.col("found")
    return joined.select((found > COMMON_SHARE * pl.col("tests")) & (found >= least)).to_series()


def _grams(
    encoded: Encoded, positions: np.ndarray, numbers: np.ndarray, ngram: int, codes: np.ndarray
) -> Runs:
    """The n-grams as runs; to each belong its positions."""
    order = np.argsort(numbers, kind="stable")
    _, first, counts = np.unique(numbers[order], return_index=True, return_counts=True)
    values = positions[order]
    lengths = np.full(len(first), ngram)
    index = RunIndex(encoded.ids, values[first], lengths, ngram, codes)
    return Runs(index, lengths, Postings(first, counts, values))


def _long_answers(tasks: pl.Series, answers: pl.DataFrame, ngram: int) -> pl.DataFrame:
    """The gold answers of at least `ngram` words that few tests of their task share."""
    counts = split_words(answers["text"]).list.len()
    answers = answers.with_columns(item=_normal(answers["text"])).filter(counts >= ngram)
    return answers.filter(~_is_common(answers, tasks))


def _normal(texts: pl.Series) -> pl.Series:
    """Texts as their words in lower case, with a space between two."""
    return split_words(texts).list.join(" ").str.to_lowercase()


def _complete_runs(
    texts: pl.DataFrame, vocabulary: Vocabulary, ngram: int, codes: np.ndarray
) -> Runs:
    """Whole texts as runs of words; to each belong its tests.

    Args:
        texts: `test`, its number, and `text`, of at least a word.
    """
    groups = (
        texts.select("test", words=_normal(texts["text"]))
        .group_by("words", maintain_order=True)
        .agg(pl.col("test").unique().sort())
    )
    encoded = vocabulary.encode(groups["words"])
    counts = groups["test"].list.len().to_numpy().astype(np.int64)
    tests = groups["test"].explode(empty_as_null=False).to_numpy()
    postings = Postings(np.cumsum(counts) - counts, counts, tests)
    index = RunIndex(encoded.ids, encoded.starts, encoded.counts, ngram, codes)
    return Runs(index, encoded.counts, postings)
