"""Fetching data sets, from local folders in the form of a hub's: parts, kills, and bad input."""

import errno
import gzip
import json
import os
import signal
import subprocess
import sys
import zipfile

import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

from dataselect.errors import InputError
from dataselect.fetch import run
from dataselect.fetch.blocks import DataSet
from dataselect.fetch.parts import Parts
from dataselect.fetch.run import Fetched, fetch

ROWS = [
    {"id": str(i), "messages": [{"role": "user", "content": "x" * (i % 7)}], "source": f"s{i % 3}"}
    for i in range(100)
]
SHARDS = (ROWS[:30], ROWS[30:42], ROWS[42:])


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project with parts of eight rows, and a cache of its own for the hub."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(run, "ROWS_PER_PART", 8)
    home = tmp_path / "project"
    (home / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(home)
    return home


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def parquet_set(folder):
    """Shards with row groups of five rows, under a config that the README names."""
    (folder / "chat").mkdir(parents=True)
    for number, rows in enumerate(SHARDS):
        path = folder / f"chat/train-{number:05d}-of-00003.parquet"
        pl.DataFrame(rows).write_parquet(path, row_group_size=5)
    files = [{"split": "train", "path": "chat/train-*"}]
    configs = [{"config_name": "chat", "data_files": files}]
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n")
    return DataSet(name=str(folder), config="chat")


def packed_set(folder):
    folder.mkdir(parents=True)
    for number, rows in enumerate(SHARDS):
        (folder / f"train-{number}.jsonl.gz").write_bytes(gzip.compress(lines(rows).encode()))
    return DataSet(name=str(folder))


def zip_set(folder):
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in zip("abc", SHARDS, strict=True):
            archive.writestr(f"train/processed/{name}.jsonl", lines(rows))
        archive.writestr("train/other.jsonl", lines(ROWS[:3]))
    return DataSet(name=str(folder), data_files=[f"data.zip/{name}.jsonl" for name in "abc"])


def array_set(folder):
    folder.mkdir(parents=True)
    (folder / "Rows.json").write_text(json.dumps(ROWS, indent=1))
    return DataSet(name=str(folder))


FORMS = [parquet_set, packed_set, zip_set, array_set]


class Interrupted(BaseException):
    """What ends a fetch in the middle."""


def fetch_counting(data_set, out, parts=None):
    """Fetches, at most so many parts; returns what was fetched, and how many parts were written."""
    written, add = [], Parts.add

    def count(self, *block):
        if len(written) == parts:
            raise Interrupted
        written.append(block)
        add(self, *block)

    Parts.add = count
    try:
        return fetch(data_set, out, "settings.yaml", lambda *_: None), len(written)
    except Interrupted:
        return None, len(written)
    finally:
        Parts.add = add


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_rows_arrive_as_they_are_and_a_part_is_a_row_group(form, project, tmp_path):
    out = project / "pool.parquet"
    assert fetch_counting(form(tmp_path / "set"), out) == (Fetched(100, None), 13)
    assert pl.read_parquet(out).to_dicts() == ROWS
    assert pq.read_metadata(out).num_row_groups == 13
    assert not list(project.rglob("*.parquet.*"))
    assert not list((project / ".dvc/tmp/scratch/fetch").rglob("*.parquet"))


@pytest.mark.parametrize("parts", [0, 1, 5, 12])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_an_interrupted_fetch_goes_on_with_the_same_bytes(form, parts, project, tmp_path):
    data_set = form(tmp_path / "set")
    fetch_counting(data_set, project / "whole.parquet")
    out = project / "pool.parquet"
    assert fetch_counting(data_set, out, parts) == (None, parts)
    assert not out.exists()
    assert fetch_counting(data_set, out) == (Fetched(100, None), 13 - parts)
    assert out.read_bytes() == (project / "whole.parquet").read_bytes()


def test_shards_that_were_read_are_not_read_again(project, tmp_path):
    data_set = parquet_set(tmp_path / "set")
    out = project / "pool.parquet"
    fetch_counting(data_set, out, 7)  # 56 rows: two shards of 42, and row groups of the third
    for path in sorted((tmp_path / "set/chat").glob("*.parquet"))[:2]:
        content = path.read_bytes()
        stat = path.stat()
        head = content.rindex(b"PAR1") - int.from_bytes(content[-8:-4], "little") - 4
        path.write_bytes(b"\0" * head + content[head:])  # the heads alone can still be read
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    fetch_counting(data_set, out)
    assert pl.read_parquet(out).to_dicts() == ROWS


def test_a_fetch_that_was_ended_while_it_joined_reads_nothing_again(project, tmp_path, monkeypatch):
    data_set = packed_set(tmp_path / "set")

    def interrupt(*_):
        raise Interrupted

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Parts, "join", interrupt)
        fetch(data_set, project / "pool.parquet", "settings.yaml", lambda *_: None)
    assert fetch_counting(data_set, project / "pool.parquet") == (Fetched(100, None), 0)
    assert pl.read_parquet(project / "pool.parquet").to_dicts() == ROWS


def test_parts_of_changed_files_are_not_mixed_with_new_ones(project, tmp_path):
    data_set = packed_set(tmp_path / "set")
    out = project / "pool.parquet"
    fetch_counting(data_set, out, 5)
    path = tmp_path / "set/train-0.jsonl.gz"
    path.write_bytes(gzip.compress(lines(ROWS[:10]).encode()))
    os.utime(path, ns=(1, 1))
    assert fetch_counting(data_set, out) == (Fetched(80, None), 10)
    assert pl.read_parquet(out).to_dicts() == ROWS[:10] + ROWS[30:]


def test_a_commit_has_parts_of_its_own(project, tmp_path, monkeypatch):
    """The hub moves on between a kill and the next run; what stands in for it is a local folder."""
    old, new = tmp_path / "old", tmp_path / "new"
    packed_set(old)
    new.mkdir()
    (new / "train.jsonl").write_text(lines(ROWS[:20]))
    import datasets

    load = datasets.load_dataset_builder

    def at_commit(name, config, revision, data_files):
        assert name == "some/set"
        return load(str({"1": old, "2": new}[revision]), config, data_files=data_files)

    monkeypatch.setattr(datasets, "load_dataset_builder", at_commit)
    out = project / "pool.parquet"
    monkeypatch.setattr(run, "newest_commit", lambda *_: "1")
    fetch_counting(DataSet(name="some/set"), out, 5)
    monkeypatch.setattr(run, "newest_commit", lambda *_: "2")
    assert fetch_counting(DataSet(name="some/set"), out) == (Fetched(20, "2"), 3)
    assert pl.read_parquet(out).to_dicts() == ROWS[:20]


KILLED = """
import os, signal, sys
from pathlib import Path
from dataselect.fetch import run
from dataselect.fetch.blocks import DataSet
from dataselect.fetch.parts import Parts

run.ROWS_PER_PART, add = 8, Parts.add

def die_after_five(self, *block):
    add(self, *block)
    if len(self._paths) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

Parts.add = die_after_five
run.fetch(DataSet(name=sys.argv[1]), Path("pool.parquet"), "settings.yaml", lambda *_: None)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_parts_that_the_next_goes_on_from(project, tmp_path):
    data_set = packed_set(tmp_path / "set")
    fetch_counting(data_set, project / "whole.parquet")
    done = subprocess.run([sys.executable, "-c", KILLED, data_set.name], cwd=project, check=False)
    assert done.returncode == -signal.SIGKILL
    out = project / "pool.parquet"
    assert fetch_counting(data_set, out) == (Fetched(100, None), 8)
    assert out.read_bytes() == (project / "whole.parquet").read_bytes()


def test_a_column_that_some_files_lack_is_null_there(project, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_parquet(folder / "train-0.parquet")
    pl.DataFrame({"a": [3]}).write_parquet(folder / "train-1.parquet")
    out = project / "pool.parquet"
    fetch(DataSet(name=str(folder)), out, "settings.yaml", lambda *_: None)
    assert pl.read_parquet(out)["b"].to_list() == ["x", "y", None]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"a": [3], "c": [1]}, "new columns .*fetch them apart"),
        ({"a": ["text"]}, "fetch them apart"),
        ({"a": [2.5]}, "was truncated.*fetch them apart"),
    ],
)
def test_files_with_other_columns_end_with_a_message(second, message, project, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    pl.DataFrame({"a": [1, 2]}).write_parquet(folder / "train-0.parquet")
    pl.DataFrame(second).write_parquet(folder / "train-1.parquet")
    out = project / "pool.parquet"
    with pytest.raises(InputError, match=message):
        fetch(DataSet(name=str(folder)), out, "settings.yaml", lambda *_: None)
    assert not out.exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"split": "validation"},
            r"Available splits: \['train'\].*Set another `split` in settings",
        ),
        ({"name": "no-such-folder/"}, "no-such-folder.*Fix settings.yaml"),
        ({"config": "other"}, r"'other' not found. Available: \['default'\]. Fix settings.yaml"),
        ({"data_files": "other*.jsonl"}, "Fix settings.yaml"),
        ({"data_files": ["data.zip/x.jsonl"]}, "data.zip.*Fix settings.yaml"),
        ({"data_files": ["data.zip/x.jsonl", "y.jsonl"]}, "`y.jsonl` is in no zip"),
    ],
)
def test_a_wrong_name_ends_with_a_message_and_leaves_no_file(changed, message, project, tmp_path):
    given = {"name": packed_set(tmp_path / "set").name, **changed}
    if given.get("data_files", [""])[-1] == "y.jsonl":
        zip_set(tmp_path / "zip")
        given["name"] = str(tmp_path / "zip")
        given["data_files"][0] = "data.zip/a.jsonl"
    with pytest.raises(InputError, match=message):
        fetch(DataSet(**given), project / "pool.parquet", "settings.yaml", lambda *_: None)
    assert not list(project.rglob("*.parquet*"))


def test_a_file_that_its_zip_lacks_is_named_with_those_there(project, tmp_path):
    zip_set(tmp_path / "set")
    data_set = DataSet(name=str(tmp_path / "set"), data_files="data.zip/d.jsonl")
    with pytest.raises(InputError, match=r"0 files in data.zip are called `d.jsonl`.*a.jsonl"):
        fetch(data_set, project / "pool.parquet", "settings.yaml", lambda *_: None)


def test_a_set_without_rows_leaves_no_file(project, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    pl.DataFrame({"a": [1]}).clear().write_parquet(folder / "train.parquet")
    with pytest.raises(InputError, match=r"it has no rows\. Set another `split`"):
        fetch(DataSet(name=str(folder)), project / "pool.parquet", "settings.yaml", lambda *_: None)
    assert not list(project.rglob("*.parquet*"))


@pytest.mark.parametrize("at", [3, 13])
def test_a_full_disk_leaves_nothing_half_written_and_the_next_run_goes_on(
    at, project, tmp_path, monkeypatch
):
    data_set = packed_set(tmp_path / "set")
    fetch_counting(data_set, project / "whole.parquet")
    write, count = pq.ParquetWriter.write_table, []

    def full(self, *given, **others):
        count.append(1)
        if len(count) > at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, *given, **others)

    out = project / "pool.parquet"
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(pq.ParquetWriter, "write_table", full)
        fetch(data_set, out, "settings.yaml", lambda *_: None)
    assert not out.exists()
    assert not list(project.rglob(".*.parquet.*"))
    assert fetch_counting(data_set, out) == (Fetched(100, None), 13 - at)
    assert out.read_bytes() == (project / "whole.parquet").read_bytes()


def test_two_fetches_of_one_file_do_not_run_at_once(project, tmp_path):
    from filelock import FileLock

    data_set = packed_set(tmp_path / "set")
    lock = project / ".dvc/tmp/scratch/fetch/pool.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(InputError, match="another process fetches it"):
        fetch(data_set, project / "pool.parquet", "settings.yaml", lambda *_: None)
