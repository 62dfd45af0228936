"""Rows that Python code gives: as paths, frames, lists and data sets."""

from pathlib import Path

import datasets
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from dataselect.data.given import given_path
from dataselect.dedup.read import read_rows
from tests.helpers import POOL, mistake

ROWS = [
    {"id": "a", "messages": [{"role": "user", "content": "x"}], "n": 1},
    {"id": "b", "messages": [{"role": "user", "content": "ü"}], "n": None},
]
FORMS = {
    "a list of dictionaries": ROWS,
    "a Polars frame": pl.DataFrame(ROWS),
    "a lazy frame": pl.LazyFrame(ROWS),
    "a pandas frame": pd.DataFrame(ROWS),
    "a table of Arrow": pa.Table.from_pylist(ROWS),
    "a data set": datasets.Dataset.from_list(ROWS),
}


def records(path):
    return [row.record for row in read_rows([path], ["n"])]


@pytest.mark.parametrize("rows", FORMS.values(), ids=FORMS)
def test_every_form_holds_the_same_rows(rows, tmp_path):
    path = given_path(rows, tmp_path / "given", "pool")
    assert Path(path).stem == "pool"
    assert [(r["id"], r["messages"], r["n"]) for r in records(path)] == [
        (row["id"], row["messages"], row["n"]) for row in ROWS
    ]


def test_a_data_set_whose_rows_were_chosen_holds_these_only(tmp_path):
    chosen = datasets.Dataset.from_list(POOL).select([3, 1])
    path = given_path(chosen, tmp_path, "pool")
    assert [row["id"] for row in records(path)] == ["r3", "r1"]


def test_paths_stay_as_they_are_and_nothing_is_written(tmp_path):
    assert given_path("data/*.parquet", tmp_path / "given", "pool") == "data/*.parquet"
    assert given_path(Path("a.csv"), tmp_path / "given", "pool") == "a.csv"
    assert given_path(["a.csv", Path("b.csv")], tmp_path / "given", "pool") == ["a.csv", "b.csv"]
    assert not (tmp_path / "given").exists()


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (7, "found builtins.int. Give one of these."),
        (None, "found builtins.NoneType. Give one of these."),
        (["a.csv", {"id": "a"}], "found a list of dict, str. Give one of these."),
        (
            datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS)),
            "found a DatasetDict with `train`. Give one of its splits.",
        ),
        (
            datasets.Dataset.from_list(ROWS).to_iterable_dataset(),
            "found an IterableDataset. Load it without streaming, or give a list of its rows.",
        ),
    ],
)
def test_other_things_are_refused(rows, found, tmp_path):
    message = mistake(given_path, rows, tmp_path, "pool")
    assert message.startswith("pool: expected a path, a glob or a list of these; a Polars or ")
    assert message.endswith(found)


def test_a_value_without_a_form_in_a_file_is_named(tmp_path):
    message = mistake(given_path, [{"id": "a"}, {"id": {1, 2}}], tmp_path, "queries")
    assert message.startswith("queries: item 2: a value that JSON does not have: ")
    mixed = pd.DataFrame({"id": ["a", {"b": 1}]})
    message = mistake(given_path, mixed, tmp_path, "queries")
    assert message.startswith("queries: a column that a Parquet file cannot hold: ")
