"""What the browser has of a run, whole and without this or that."""

import shutil

import numpy as np
import polars as pl

from dataselect.ask.run_files import RunFiles
from dataselect.html_report.rows import NOWHERE, browse, columns, read_excerpts, table_part
from tests.html_report.conftest import no_selection


def test_columns_say_what_became_of_each_row(run_folder):
    found = columns(browse(RunFiles(run_folder), 100, "pca"), [1] * 6)
    assert found["number"].tolist() == [3, 1, 0, 2, 0, 0]
    assert found["rank"].tolist() == [2, 1, 3, 1, 2, 0]
    assert found["source"].tolist() == [0, 0, 0, 1, 1, 2]
    assert found["x"].dtype == np.uint16
    assert (found["x"] == NOWHERE).tolist() == [False] * 5 + [True]
    assert len({len(column) for column in found.values()}) == 1


def test_a_large_pool_keeps_what_was_chosen_and_nearly_was(run_folder):
    browser = browse(RunFiles(run_folder), 1, "pca")
    assert browser.kept.tolist() == [0, 1, 2, 3, 4]  # the last is a candidate in no group
    (numbers,) = {tuple(columns(browser, [1] * 5)["rank"].tolist())}
    assert numbers == (2, 1, 3, 1, 2)
    assert [row.id for row in read_excerpts(browser, 100)] == ["a0", "a1", "a2", "b0", "b1"]


def test_without_features_scores_or_a_choice_it_says_so(run_folder):
    shutil.rmtree(run_folder / "features")
    (run_folder / "scores.parquet").unlink()
    no_selection()
    browser = browse(RunFiles(run_folder), 100, "pca")
    assert browser.map is None
    assert [line.partition(":")[0] for line in browser.lacks] == [
        "No row was chosen", "The run has no scores here", "There is no map"
    ]  # fmt: skip
    found = columns(browser, [1] * 6)
    assert "x" not in found
    assert found["number"].tolist() == [0] * 6


def test_the_table_has_the_maps_columns(run_folder):
    browser = browse(RunFiles(run_folder), 100, "pca")
    table = table_part(browser, 0, list(read_excerpts(browser, 100)))
    assert table["number"].to_list() == [3, 1, None, 2, None, None]
    assert table["query"].to_list() == ["q0", "q0", "q0", "q1", "q1", None]
    assert table["x"].null_count() == table["y"].null_count() == 1
    assert table.schema["group"] == pl.String
    assert table["text"][0] == "What is\n\n  1+1?\n\ntwo"
