"""What is printed and noted of a fetched pool, and of a data set of one's own."""

import json
from pathlib import Path

import polars as pl
import pytest

from dataselect.fetch import run
from dataselect.fetch.blocks import DataSet
from dataselect.fetch.hub import print_commit
from dataselect.fetch.pools import NamedPool, fetch_own, fetch_pool

ROWS = [{"messages": [{"role": "user", "content": str(i)}], "source": "s"} for i in range(25)]
OUT, SETTINGS = Path("pools/small.parquet"), Path("pools/small.yaml")


@pytest.fixture(autouse=True)
def folder(in_scratch, monkeypatch):
    """A data set of 25 rows in a folder, in the form of a hub's."""
    monkeypatch.setenv("HF_HOME", str(in_scratch / "home"))
    Path("set").mkdir()
    pl.DataFrame(ROWS).write_parquet("set/train-00000-of-00001.parquet")
    return in_scratch


def pool(**changes):
    facts = {"name": "set", "description": "", "source": "", "rows": 25, "verified": "in a test"}
    return NamedPool(**facts | changes)


def test_a_pool_of_the_published_size_is_noted_without_a_warning(capsys):
    fetch_pool(pool(), OUT, SETTINGS)
    assert "warning" not in capsys.readouterr().out
    assert pl.read_parquet(OUT).to_dicts() == ROWS
    note = json.loads(Path("pools/small.source.json").read_text())
    assert (note["name"], note["rows"], note["published"], note["commit"]) == ("set", 25, 25, None)


@pytest.mark.parametrize(("rounded_to", "warned"), [(None, True), (4, True), (6, False)])
def test_another_number_of_rows_is_a_warning_unless_it_rounds_to_it(capsys, rounded_to, warned):
    fetch_pool(pool(rows=28, rounded_to=rounded_to), OUT, SETTINGS)
    printed = capsys.readouterr().out
    assert ("warning: differs by" in printed) == warned
    assert ("about 28" in printed) == (rounded_to is not None)


def test_a_name_that_was_not_verified_is_pointed_out(capsys):
    fetch_pool(pool(verified="unverified: a guess"), OUT, SETTINGS)
    assert "set: unverified: a guess" in capsys.readouterr().out


def test_ones_own_data_set(capsys, monkeypatch):
    monkeypatch.setattr(run, "newest_commit", lambda *_: "abc")
    fetch_own(DataSet(name="set"), OUT, SETTINGS)
    assert pl.read_parquet(OUT).height == 25
    assert not Path("pools/small.source.json").exists()
    printed = " ".join(capsys.readouterr().out.split())
    assert "To keep to it, write that into `revision` of pools/small.yaml." in printed


def test_a_commit_is_named_unless_it_was_asked_for_or_there_is_none(capsys):
    print_commit("a/b", "abc", "abc", "x.yaml")
    print_commit("a/b", None, None, "x.yaml")
    assert capsys.readouterr().out == ""
    print_commit("a/b", "main", "abc", "x.yaml")
    assert "a/b is at commit abc. To keep to it, write that into x.yaml." in capsys.readouterr().out
