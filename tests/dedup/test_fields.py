"""A record's fields as texts and lists, by hand: what is missing, numbers, JSON in a text."""

import math

import pytest

from dataselect.dedup.fields import BadRow, checked_text, name_field, text_field, text_list_field


@pytest.mark.parametrize(
    ("row", "names", "expected"),
    [
        ({"id": "a"}, ["id"], "a"),
        ({"id": 7}, ["id"], "7"),
        ({"id": 0}, ["id"], "0"),
        ({"id": ""}, ["id"], None),
        ({"id": None}, ["id"], None),
        ({}, ["id"], None),
        ({"source": "a", "dataset": "b"}, ["source", "dataset"], "a"),
        ({"source": "", "dataset": "b"}, ["source", "dataset"], "b"),
        ({"dataset": 3}, ["source", "dataset"], "3"),
    ],
)
def test_a_text_field_is_the_first_column_that_is_not_empty(row, names, expected):
    assert text_field(row, *names) == expected


def test_a_text_field_is_valid_unicode():
    with pytest.raises(BadRow, match=r"^id: not valid Unicode: half a surrogate pair, '\\ud83c'$"):
        text_field({"id": "\ud83c"}, "id")


def test_a_list_of_texts_or_numbers_becomes_texts():
    assert text_list_field({"choices": ["a", 2, 0.5]}, "choices") == ["a", "2", "0.5"]
    assert text_list_field({"choices": None}, "choices") is None
    assert text_list_field({}, "choices") is None


def test_a_number_of_any_size_is_a_text():
    assert checked_text(7 * 10**400, "content") == "7" + "0" * 400
    with pytest.raises(BadRow, match=r"^content: expected text, found -inf$"):
        checked_text(-math.inf, "content")


@pytest.mark.parametrize("missing", [None, "", math.nan])
def test_null_nan_and_the_empty_text_are_missing(missing):
    record = {"source": missing, "dataset": "b"}
    assert text_field(record, "source") is None
    assert name_field(record, "source") is None
    assert name_field(record, "source", "dataset") == "b"
    assert text_list_field(record, "source") is None


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (3, "3", "3"),
        (3.0, "3", "3.0"),
        (-0.0, "0", "-0.0"),
        (2.5, "2.5", "2.5"),
        (2.0**53, "9007199254740992", "9007199254740992.0"),
        (1e300, "1e+300", "1e+300"),
        (math.inf, "inf", "inf"),
        ("3.0", "3.0", "3.0"),
        (True, "True", "True"),
    ],
)
def test_a_name_is_a_whole_number_without_its_point(value, name, text):
    assert name_field({"id": value}, "id") == name
    assert text_field({"id": value}, "id") == text


@pytest.mark.parametrize(
    ("text", "expected"), [('["a", 2]', ["a", "2"]), (" [ ]", []), ('["[x"]', ["[x"])]
)
def test_a_list_may_be_written_as_json(text, expected):
    assert text_list_field({"choices": text}, "choices") == expected


@pytest.mark.parametrize("text", ["a", "['a']", '{"text": ["a"]}', "[" * 100_000])
def test_other_texts_are_no_list(text):
    with pytest.raises(BadRow, match=r"^choices: expected a list, found text$"):
        text_list_field({"choices": text}, "choices")
