"""Pools by name: their files, the stage of each, and what the plan says of one not fetched."""

import shutil
from pathlib import Path

import pytest

from dataselect.dedup.sources import check_sources
from dataselect.errors import InputError
from dataselect.plan.params import read_yaml
from dataselect.plan.pools import check_fetched, load_pool, pool_names, show_pools
from tests.helpers import ROOT

NAMES = [
    *("less", "mathinstruct", "tulu2_mixture"),
    *("tulu2_unfiltered", "tulu2_unfiltered_200k", "tulu3_unfiltered"),
]


@pytest.fixture
def home(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "remote/pools", tmp_path / "remote/pools")
    for path in (tmp_path / "remote/pools").glob("*.parquet"):
        path.unlink()
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_pool_has_a_file_and_a_stage(home):
    assert pool_names() == NAMES
    stage = read_yaml("remote/pools/dvc.yaml")["stages"]["pool"]
    assert stage["foreach"] == NAMES
    for name in NAMES:
        check_sources(load_pool(name, "here").sources)


def test_the_pool_of_the_paper_is_not_the_mixture_that_was_made_of_it(home):
    pool, mixture = load_pool("tulu2_unfiltered", "here"), load_pool("tulu2_mixture", "here")
    assert pool.name != mixture.name
    assert pool.rows > 10 * mixture.rows
    assert read_yaml(ROOT / "remote/params.yaml")["name"] != mixture.name


def test_a_rounded_number_agrees_with_those_that_round_to_it(home):
    pool = load_pool("tulu2_unfiltered", "here")
    assert [pool.agrees(rows) for rows in (5_750_000, 5_849_999, 5_850_001)] == [True, True, False]
    exact = load_pool("mathinstruct", "here")
    assert [exact.agrees(rows) for rows in (262_039, 262_040)] == [True, False]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "remote/pools/mathinstruct.parquet",
            "the pool `mathinstruct` was not fetched. Run "
            "`dvc repro remote/pools/dvc.yaml:pool@mathinstruct`",
        ),
        (["a.jsonl", "remote/pools/less.parquet"], "dvc.yaml:pool@less"),
        (
            "remote/tasks/open_i/pool.parquet",
            "pool.path: the task `open_i` was not fetched. Run "
            "`dvc repro remote/tasks/dvc.yaml:task@open_i`",
        ),
        ("remote/tasks/gsm8k/pool.parquet", "the task `gsm8k` has no pool."),
        ("remote/pools/mathinstuct.parquet", "Did you mean `mathinstruct`"),
        (
            "remote/pool.parquet",
            "Name a data set in remote/params.yaml and run `dvc repro remote/d",
        ),
    ],
)
def test_a_pool_that_was_not_fetched_is_named_with_its_command(path, message, home):
    with pytest.raises(InputError) as caught:
        check_fetched(path)
    assert message in str(caught.value)


def test_fetched_pools_and_other_files_are_left_to_others(home):
    Path("remote/pools/less.parquet").touch()
    check_fetched(["remote/pools/less.parquet", "data/*.jsonl", "remote/pools/*.parquet"])


def test_a_mistake_in_a_pools_file_is_named(home):
    Path("remote/pools/less.yaml").write_text("nmae: a/b\n")
    with pytest.raises(InputError, match=r"remote/pools/less.yaml: .*nmae.*Did you mean `name`"):
        load_pool("less", "here")


def test_the_table_is_at_most_80_columns_wide_and_says_what_is_unverified(home, capsys):
    Path("remote/pools/less.parquet").touch()
    Path("remote/pools/less.source.json").write_text('{"rows": 270678}')
    show_pools()
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert all(f" {load_pool(name, 'here').name} " in printed for name in NAMES)
    assert "270,678" in printed
    assert "tulu2_unfiltered_200k: unverified" in printed
