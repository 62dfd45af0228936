"""The card of an exported data set."""

from dataclasses import replace

import polars as pl
import pytest
import yaml

from dataselect.data.contamination import TaskOverlap
from dataselect.export.card import card
from dataselect.export.dataset import with_tools
from dataselect.export.finished import read_run


@pytest.fixture
def run(finished):
    """A run over a pool that lay outside the project."""
    found = read_run(finished)
    (file,) = found.plan["dedup"]["pool"]
    dedup = {**found.plan["dedup"], "pool": [{**file, "path": "/home/me/elsewhere/my pool.jsonl"}]}
    return replace(found, plan={**found.plan, "dedup": dedup})


def text_of(shown):
    return card(shown, with_tools(shown.rows), ["trl_sft.yaml"])


def header(text):
    return yaml.safe_load(text.split("---\n")[1])


def section(text, title):
    return text.partition(f"## {title}\n\n")[2].partition("\n\n## ")[0]


def test_the_header_is_what_the_hub_reads(run):
    head = header(text_of(run))
    (config,) = head.pop("configs")
    assert config["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    assert head.pop("license") == ["apache-2.0", "mit", "unknown"]
    assert head.pop("size_categories") == ["n<1K"]
    assert head == {
        "task_categories": ["text-generation"],
        "tags": ["dataselect", "instruction-tuning"],
    }


@pytest.mark.parametrize(
    ("licences", "expected"),
    [(["MIT", "mit"], "mit"), (["mit", "ask us first"], ["mit", "other"])],
)
def test_licences_are_named_as_the_hub_does(run, licences, expected):
    rows = run.rows.head(2).with_columns(Licence=pl.Series(licences)).drop("license")
    assert header(text_of(replace(run, rows=rows)))["license"] == expected


def test_licences_are_counted_and_their_absence_is_stated(run):
    table = section(text_of(run), "Licences")
    counts = run.rows["license"].value_counts().rows()
    for name, count in counts:
        assert f"| {name or 'not stated'} | {count} |" in table
    text = text_of(replace(run, rows=run.rows.drop("license")))
    assert "license" not in header(text)
    assert section(text, "Licences").startswith("The pool has no column of licences.")


def test_sources_stand_with_counts_in_a_whole_table(run):
    lines = section(text_of(run), "Sources").splitlines()
    counts = dict(run.rows["source"].value_counts().iter_rows())
    share = f"{counts['books'] / 7:.1%}"
    assert f"| books | {counts['books']} | {share} | {run.in_pool['books']} |" in lines
    assert any(line.startswith("| a\\|b c | ") for line in lines)
    few = replace(run, rows=run.rows.filter(pl.col("source") == "books"))
    assert "No row is from the pool's 1 other sources." in section(text_of(few), "Sources")


def test_the_method_stands_with_its_settings_and_without_hashes_of_code(run):
    text = text_of(run)
    assert "# 7 rows chosen by `random`" in text
    settings = yaml.safe_load(section(text, "Method").split("```yaml\n")[1].split("```")[0])
    assert settings["score"]["scorer"]["name"] == "random"
    assert settings["aggregate"]["budget"] == 7
    assert "code" not in settings["aggregate"]


def test_the_card_shows_how_to_rebuild_and_no_folder_of_the_machine(run):
    text = text_of(replace(run, commit=("0a1b", True)))
    rebuild = section(text, "How to rebuild it")
    assert "git checkout 0a1b\ndvc repro aggregate\n" in rebuild
    assert "files differed from that commit" in rebuild
    md5 = run.plan["dedup"]["pool"][0]["md5"]
    assert f"| pool: `my pool.jsonl` | {md5} |" in rebuild
    assert f"| `out/selection.parquet` | {run.hashes['out/selection.parquet']} |" in rebuild
    assert str(run.train_file.resolve().parents[2]) not in text
    assert "elsewhere" not in text
    assert "in no git repository" in text_of(run)


def test_contamination_stands_in_the_card(run):
    assert "None: no chosen row overlaps one of the 1 tests" in text_of(run)
    found = replace(run, overlaps=[TaskOverlap("sums", 1, 1, 2)])
    assert "| sums | 1 | 1 | 2 | contaminated |" in section(text_of(found), "Overlaps with tests")
    assert "The run had no tests" in text_of(replace(run, tests={}))
    plan = {**run.plan, "dedup": {**run.plan["dedup"], "decontaminate": None}}
    assert "Overlaps were not looked for." in text_of(replace(run, plan=plan))


def test_repeated_lines_of_the_training_file_are_stated(run):
    assert "several times" not in text_of(run)
    assert "9 lines: some rows are there several times" in text_of(replace(run, lines=9))


def test_a_source_is_no_link_no_tag_and_no_escape(run):
    name = "![a](https://host/a.png) <b>|\x1b[31m"
    rows = run.rows.with_columns(source=pl.lit(name))
    table = section(text_of(replace(run, rows=rows, in_pool={name: 9})), "Sources")
    assert r"| !\[a\](https://host/a.png) &lt;b>\|␛\[31m |" in table
