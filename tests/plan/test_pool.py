"""Columns that settings name and the pool's files do not have are found before anything is read."""

import polars as pl
import pytest

from tests.helpers import POOL, change, mistake, planned


@pytest.fixture
def parquet(home):
    """A pool of two Parquet files; only the second has a score."""
    pl.DataFrame(POOL[:5]).write_parquet("a.parquet")
    rows = [{**row, "judge_score": 3} for row in POOL[5:]]
    pl.DataFrame(rows).write_parquet("b.parquet")
    return lambda **pool: change({"pool": {"path": ["a.parquet", "b.parquet"], **pool}})


def test_columns_that_a_file_has_are_planned(parquet):
    parquet(where="judge_score > 1", keep=["judge_score"])
    rules = planned().dedup.rules
    assert (rules.where, rules.keep) == ("judge_score > 1", ["judge_score"])


@pytest.mark.parametrize(
    ("settings", "place"),
    [({"where": "judge_scor > 1"}, "pool.where"),
     ({"keep": ["judge_scor"]}, "pool.keep, or the scorer's column")],
)  # fmt: skip
def test_a_column_that_no_parquet_file_has_ends_the_plan(parquet, settings, place):
    parquet(**settings)
    quotes = " A text stands in single quotes." if "where" in settings else ""
    assert mistake(planned) == (
        f"{place}: no row of the pool has a column `judge_scor`. Did you mean `judge_score`? "
        f"There are: id, prompt, completion, judge_score.{quotes} Fix it."
    )


def test_every_parquet_file_must_have_a_column_that_is_mapped(parquet):
    parquet(columns={"source": "judge_score"})
    assert mistake(planned).startswith(
        "params.yaml: pool.columns: a.parquet has no column `judge_score`."
    )
    parquet(columns={"source": "id"})
    assert planned().dedup.rules.columns == {"source": "id"}


def test_names_that_clash_end_the_plan(parquet):
    parquet(keep=["judge_score", "Rank"])
    assert mistake(planned).startswith("pool.keep: item 2: `Rank` is a column that the tables")


def test_other_files_are_read_by_the_stage(home):
    change({"pool": {"path": "pool.jsonl", "where": "judge_scor > 1"}})
    assert planned().dedup.rules.where == "judge_scor > 1"
    (home / "a.parquet").write_text("no parquet")
    change({"pool": {"path": "a.parquet", "where": "judge_scor > 1"}})
    assert planned().dedup.rules.where == "judge_scor > 1"
