"""`dataselect export`: the folder, as libraries load it."""

import json

import datasets
import polars as pl
import pytest
import yaml

from dataselect import cli
from dataselect.export import run as export_run
from dataselect.export.run import export
from tests.helpers import mistake


def test_the_library_datasets_loads_the_folder(finished, tmp_path):
    export(finished / "handed_on/rows")
    loaded = datasets.load_dataset(
        str(finished / "handed_on/rows"), cache_dir=str(tmp_path / "cache")
    )
    assert list(loaded) == ["train"]
    rows = loaded["train"].to_list()
    selection = pl.read_parquet(finished / "out/selection.parquet")
    lines = [json.loads(line) for line in (finished / "out/train.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == selection["id"].to_list()
    assert [row["messages"] for row in rows] == [line["messages"] for line in lines]
    assert [row["license"] for row in rows] == [line["license"] for line in lines]
    assert [row["score"] for row in rows] == selection["score"].to_list()


def test_trl_reads_the_training_file_as_its_settings_say(finished, tmp_path):
    """As `trl sft` loads the `datasets` of its settings (trl 1.16, `get_dataset`)."""
    export(finished / "rows")
    settings = yaml.safe_load((finished / "rows/trl_sft.yaml").read_text())
    (source,) = settings["datasets"]
    loaded = datasets.load_dataset(
        source["path"],
        data_files=str(finished / "rows" / source["data_files"]),
        split=source["split"],
        cache_dir=str(tmp_path / "cache"),
    ).select_columns(source["columns"])
    assert loaded.column_names == ["messages"]
    for messages in loaded["messages"]:
        assert [set(turn) for turn in messages] == [{"role", "content"}] * 2
        assert [turn["role"] for turn in messages] == ["user", "assistant"]


def test_the_folder_holds_what_the_command_prints(finished, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["dataselect", "export", "rows"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    printed = set(capsys.readouterr().out.split())
    paths = [path for path in (finished / "rows").rglob("*") if path.is_file()]
    assert printed == {str(path.relative_to(finished)) for path in paths}
    assert {path.name for path in paths} >= {"README.md", "train.jsonl", "trl_sft.yaml"}
    for path in paths:
        if path.suffix != ".parquet":
            assert str(finished) not in path.read_text()
    train = (finished / "out/train.jsonl").read_bytes()
    assert (finished / "rows/train.jsonl").read_bytes() == train


def test_a_folder_that_holds_something_is_refused(finished):
    (finished / "rows").mkdir()
    export(finished / "rows")
    message = mistake(export, finished / "rows")
    assert message == (
        f"`{finished / 'rows'}` is not empty. Name another folder, or remove it; nothing was "
        "written."
    )
    assert mistake(export, finished / "params.yaml").endswith(
        "Name a folder that is not there yet."
    )


def test_an_export_that_fails_leaves_nothing(finished, monkeypatch):
    def full(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(export_run, "write_dataset", full)
    before = set(finished.iterdir())
    with pytest.raises(OSError, match="the disk is full"):
        export(finished / "rows")
    assert set(finished.iterdir()) == before
    (finished / "plan.json").unlink()
    assert mistake(export, finished / "rows").startswith("no finished run in ")
    assert set(finished.iterdir()) == before - {finished / "plan.json"}
