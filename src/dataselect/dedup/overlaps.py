"""Rows × tests → the pairs that overlap: how much of a test's question stands in a row, and where.

The rule is that of Tülu 3 (arXiv 2411.15124, section 3.2): a word of a test matches where an n-gram
that contains it stands in a user turn of the row; a test overlaps the row where more than a share
of its words match. Source: allenai/open-instruct `decontamination/`, which asks a search engine
for the 100 best rows of each n-gram; here all rows are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from dataselect.dedup.matched_text import matched_texts
from dataselect.dedup.questions import Questions, Runs, covered_words
from dataselect.dedup.runs import parts
from dataselect.dedup.words import Encoded

#: Characters of turns that are compared at a time, and places of their n-grams in tests: some
#: hundred MB.
CHARACTERS, PLACES = 2_000_000, 2**20

OVERLAPS = {
    "row": pl.Int64,
    "test": pl.Int64,
    "share": pl.Float64,
    "text": pl.String,
    "question_found": pl.Boolean,
    "answer_found": pl.Boolean,
}


class _Turns(NamedTuple):
    """The turns of one role: their words, their rows, and their numbers among all turns."""

    words: Encoded
    rows: np.ndarray
    numbers: np.ndarray


def find_overlaps(rows: pl.DataFrame, questions: Questions, share: float) -> pl.DataFrame:
    """All pairs of a row and a test that overlap, in the order of the rows, then of the tests.

    Args:
        rows: with `messages`.
        share: a test overlaps a row that has more than this share of its countable words.

    Returns:
        `OVERLAPS`: `row` and `test`, numbers from 0 on; `share`, of the question's words that
        match; `text`, what matches as it stands in the row: of the question, or of the answer
        where only that was found; `question_found`, `answer_found`.
    """
    content = pl.element().struct.field("content").str.len_chars()
    sizes = rows.select(pl.col("messages").list.eval(content).list.sum()).to_series()
    found = [pl.DataFrame(schema=OVERLAPS)]
    for part in parts(sizes.to_numpy().astype(np.int64), CHARACTERS):
        pairs = _compare(rows[part]["messages"], questions, share)
        found.append(pairs.with_columns(pl.col("row") + part.start))
    return pl.concat(found)


def _compare(messages: pl.Series, questions: Questions, share: float) -> pl.DataFrame:
    """The pairs of a few rows.

    Inside, a pair is a number: row · tests + test. A span is a run of words in a turn that
    matches: `pair`, `turn`, `first`, `length`.
    """
    turns = (
        messages.to_frame("messages")
        .with_columns(row=pl.int_range(pl.len()))
        .explode("messages", empty_as_null=False)
        .unnest("messages")
        .with_columns(turn=pl.int_range(pl.len()))
    )
    tests = len(questions.countable)
    answers = _in_full(_turns(turns, "assistant", questions), questions.answers, tests)
    user = _turns(turns, "user", questions)
    complete = _in_full(user, questions.complete, tests)
    in_part, spans = _in_part(user, questions, share, answers["pair"].unique().to_numpy())
    shares = pl.concat([complete.select("pair", share=pl.lit(1.0)), in_part])
    found = answers.select("pair", answer_found=True)
    pairs = shares.join(found, on="pair", how="full", coalesce=True).with_columns(
        pl.col("share").fill_null(0.0), pl.col("answer_found").fill_null(value=False)
    )
    pairs = pairs.with_columns(question_found=pl.col("share") > share)
    only_answer = pairs.filter(~pl.col("question_found"))
    spans = pl.concat([complete, spans, answers.join(only_answer, on="pair", how="semi")])
    texts = matched_texts(turns["content"], spans)
    joined = pairs.sort("pair").join(texts, on="pair", how="left", maintain_order="left")
    return joined.with_columns(row=pl.col("pair") // tests, test=pl.col("pair") % tests).select(
        list(OVERLAPS)
    )


def _turns(turns: pl.DataFrame, role: str, questions: Questions) -> _Turns:
    """The turns of a role as words; none where nothing is looked for in them."""
    looked_for = role == "user" or len(questions.answers.lengths)
    own = turns.filter(role=role) if looked_for else turns.clear()
    words = questions.vocabulary.encode(own["content"].fill_null(""))
    return _Turns(words, own["row"].to_numpy(), own["turn"].to_numpy())


def _spans(
    turns: _Turns, pairs: np.ndarray, positions: np.ndarray, lengths: np.ndarray
) -> pl.DataFrame:
    """Runs of words at positions of the turns' words, as spans."""
    texts = turns.words.text_of(positions)
    first = positions - turns.words.starts[texts]
    return pl.DataFrame(
        {"pair": pairs, "turn": turns.numbers[texts], "first": first, "length": lengths}
    )


def _in_full(turns: _Turns, runs: Runs, tests: int) -> pl.DataFrame:
    """The pairs of rows with texts of tests that stand whole in them: the first span of each."""
    positions, found = runs.index.find(turns.words.ids)
    hits, test = runs.postings.expand(found)
    rows = turns.rows[turns.words.text_of(positions)][hits]
    pairs, first = np.unique(rows * tests + test, return_index=True)
    return _spans(turns, pairs, positions[hits[first]], runs.lengths[found[hits[first]]])


def _in_part(
    turns: _Turns, questions: Questions, share: float, also: np.ndarray
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The pairs of rows with tests whose n-grams stand in them.

    Args:
        also: pairs whose share is of interest, however small.

    Returns:
        `pair` and `share`, above `share` or of `also`; the spans of those above.
    """
    pairs = [pl.DataFrame(schema={"pair": pl.Int64, "share": pl.Float64})]
    spans = [_spans(turns, *[np.empty(0, np.int64)] * 3)]
    for rows, positions, places in _places(turns, questions):
        test = questions.test_of[places]
        pair = rows * len(questions.countable) + test
        covered = covered_words(places, pair, questions.ngram)
        starts = np.flatnonzero(np.diff(pair, prepend=-1))
        shares = np.add.reduceat(covered, starts) / questions.countable[test[starts]]
        above = shares > share
        kept = above | np.isin(pair[starts], also)
        pairs.append(pl.DataFrame({"pair": pair[starts][kept], "share": shares[kept]}))
        counts = np.diff(np.append(starts, len(pair)))
        own = np.repeat(above, counts)
        lengths = np.full(int(own.sum()), questions.ngram)
        spans.append(_spans(turns, pair[own], positions[own], lengths))
    return pl.concat(pairs), pl.concat(spans)


def _places(
    turns: _Turns, questions: Questions
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The n-grams of tests that stand in rows: row, position there, position in the questions.

    Each n-gram of a row once, where it stands first; by row, then by position in the questions;
    all of a row at a time, and as many rows as are small together.
    """
    grams = questions.grams
    positions, found = grams.index.find(turns.words.ids)
    if not len(found):
        return
    rows = turns.rows[turns.words.text_of(positions)]
    _, first = np.unique(rows * len(grams.lengths) + found, return_index=True)
    positions, found, rows = positions[first], found[first], rows[first]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    ends = np.append(starts[1:], len(rows))
    for part in parts(np.add.reduceat(grams.postings.counts[found], starts), PLACES):
        some_rows = slice(starts[part][0], ends[part][-1])
        hits, places = grams.postings.expand(found[some_rows])
        hits += some_rows.start
        order = np.lexsort((places, rows[hits]))
        yield rows[hits][order], positions[hits][order], places[order]
