"""Runs of words as the text that stands there."""

import polars as pl

from dataselect.dedup.matched_text import matched_texts


def texts(contents, *spans):
    frame = pl.DataFrame(
        spans, schema=["pair", "turn", "first", "length"], orient="row", infer_schema_length=None
    )
    return matched_texts(pl.Series(contents), frame).rows()


def test_by_hand():
    contents = ["(One, TWO three?) four", "", "日本語。 a-b"]
    assert texts(
        contents,
        (7, 0, 1, 2),
        (3, 0, 0, 1),  # touches the next
        (3, 0, 1, 1),
        (3, 0, 3, 1),
        (3, 2, 1, 3),
        (3, 2, 2, 3),  # overlaps the last
    ) == [(3, "One, TWO … four … 本語。 a-b"), (7, "TWO three")]


def test_a_word_that_is_a_part_of_another():
    assert texts(["an a n", "aa a"], (0, 0, 1, 1), (1, 0, 2, 1), (2, 1, 1, 1)) == [
        (0, "a"),
        (1, "n"),
        (2, "a"),
    ]


def test_letters_whose_lower_case_is_longer():
    assert texts(["İİ Ω b"], (0, 0, 1, 2)) == [(0, "Ω b")]


def test_no_span():
    spans = pl.DataFrame(schema=dict.fromkeys(("pair", "turn", "first", "length"), pl.Int64))
    assert matched_texts(pl.Series(["a"]), spans).rows() == []
