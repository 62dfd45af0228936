"""The Python API: in a notebook, the pipeline's selection to the row."""

import gc
import json
import re
import runpy
import shutil
import subprocess
import sys

import datasets
import pandas as pd
import polars as pl
import pytest
import yaml

import dataselect
from dataselect.embed import run as embed_run
from tests.helpers import GOLDEN, POOL, QUERIES, ROOT, mistake, small_methods
from tests.test_pipeline import SETTINGS

MODEL = {"name": str(GOLDEN / "tiny-llama"), "dtype": "float32"}
ROW_POOL = [row | {"source": "sums"} for row in POOL]


def choose(pool=ROW_POOL, queries=QUERIES, **settings):
    given = {"model": MODEL, "budget": 3, "method": "random", **settings}
    return dataselect.select(pool, queries, **given)


def test_an_import_loads_nothing_heavy():
    heavy = ["numpy", "polars", "pydantic", "pyarrow", "torch", "transformers", "datasets", "rich"]
    probe = (
        "import sys, dataselect; names = dir(dataselect); dataselect.InputError; "
        f"print([m for m in {heavy} if m in sys.modules], 'select' in names)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"


def test_another_name_is_no_part_of_it():
    with pytest.raises(AttributeError, match="has no attribute 'choose'"):
        _ = dataselect.choose


def test_it_works_outside_a_project_and_leaves_the_scratch_folder_only(in_scratch):
    chosen = choose()
    assert chosen.frame.height == 3
    assert chosen.pool.height == 8
    assert chosen.scores["id"].to_list() == chosen.pool["id"].to_list()
    assert chosen.groups.height == chosen.scores["score"].to_numpy().shape[1]
    assert chosen.dropped["place"].to_list() == ["pool.jsonl:9", "pool.jsonl:10"]
    path = chosen.train_jsonl(in_scratch / "rows/train.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["id"] for line in lines] == chosen.frame["id"].to_list()
    assert {path.name for path in in_scratch.iterdir()} == {".scratch", "rows"}


def test_a_temporary_folder_is_removed_with_its_selection(in_scratch):
    chosen = choose()
    folder = chosen.folder
    assert folder.is_dir()
    del chosen
    gc.collect()
    assert not folder.exists()
    assert list((in_scratch / ".scratch/select").iterdir()) == []


def test_a_folder_keeps_the_tables_and_is_replaced_by_the_next_call(in_scratch):
    first = choose(folder="run")
    assert first.folder == in_scratch / "run"
    second = choose(folder="run", budget=2)
    assert pl.read_parquet(in_scratch / "run/selection.parquet").height == second.frame.height == 2
    gc.collect()
    assert second.folder.is_dir()


def test_a_folder_with_other_files_is_left_as_it_is(in_scratch, monkeypatch):
    (in_scratch / "mine").mkdir()
    (in_scratch / "mine/thesis.tex").write_text("…")
    assert mistake(choose, folder="mine").startswith("folder: `mine` holds thesis.tex. Name a new")
    (in_scratch / "a file").touch()
    assert mistake(choose, folder="a file") == "folder: `a file` is a file. Name a folder."
    assert {path.name for path in in_scratch.iterdir()} == {"mine", "a file"}
    (in_scratch / "empty").mkdir()
    monkeypatch.chdir(in_scratch / "empty")
    assert "is around the working directory" in mistake(choose, folder=".")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pool": 7}, "pool: expected a path, a glob or a list of these; a Polars or pandas"),
        ({"queries": 7.5}, "queries: expected a path, a glob"),
        ({"pool": "nowhere/*.jsonl"}, "pool.path: `nowhere/*.jsonl`: no file matches this"),
        ({"pool": pl.DataFrame({"text": ["a"]})}, "pool.parquet:1: no messages: expected a column"),
        ({"pool": []}, "pool.path: no row is left. Dropped: nothing was read"),
        ({"budget": 9}, "budget: 9 rows; the pool has 8"),
        ({"method": "rsd"}, "select: method: no method is called `rsd`. Did you mean `rds`?"),
        ({"method": "rds", "queries": None}, "Give `queries`, or choose a method"),
        ({"tresh": 1}, "select: unknown argument `tresh`"),
        ({"pool": {"path": POOL, "on_bad": 1}}, "select: pool: unknown setting `on_bad`"),
        ({"model": "./nowhere"}, "no such folder"),
    ],
)
def test_a_mistake_is_an_input_error_and_leaves_nothing(settings, message, in_scratch):
    with pytest.raises(dataselect.InputError) as error:
        choose(**settings)
    assert message in str(error.value)
    assert list((in_scratch / ".scratch/select").iterdir()) == []


@pytest.mark.usefixtures("in_scratch")
def test_a_second_call_computes_no_feature_again(monkeypatch):
    first = choose(method="rds")

    def load_feature(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(embed_run, "load_feature", load_feature)
    assert choose(method="rds", budget=2).frame["id"].to_list() == first.frame["id"].to_list()[:2]


@pytest.mark.usefixtures("in_scratch")
def test_kinds_of_tests_come_with_the_package():
    assert choose(tests=QUERIES).frame.height == 3
    kinds = {"kinds": {"sums": "nothing"}}
    assert "no kind is called `nothing`" in mistake(choose, tests=QUERIES, eval=kinds)


@pytest.mark.slow
def test_the_block_of_the_docs_runs(in_scratch, capsys):
    (in_scratch / "demo/world").mkdir(parents=True)
    (in_scratch / "demo/base_model").symlink_to(GOLDEN / "tiny-llama")
    for name in ("pool", "queries"):
        rows = pl.read_parquet(ROOT / f"demo/world/{name}.parquet").head(20)
        rows.write_parquet(in_scratch / f"demo/world/{name}.parquet")
    block, _ = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.S)
    exec(block.replace("budget=300", "budget=5"), {})
    assert "group" in capsys.readouterr().out
    assert len((in_scratch / "train.jsonl").read_text().splitlines()) == 5


#: How rows are given, by method, so that every form is used.
FORMS = {
    "rds": lambda frame: frame,
    "random": lambda frame: frame.to_dicts(),
    "top_ppl": lambda frame: pd.DataFrame(frame.to_dicts()),
    "longest": lambda frame: datasets.Dataset.from_list(frame.to_dicts()),
    "random_balanced": lambda frame: {"path": frame.lazy()},
}
#: With a reference: they take longer.
FITTED = {"less": FORMS["longest"], "s2l": FORMS["random_balanced"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [*FORMS, *(pytest.param(name, marks=pytest.mark.torture) for name in FITTED)]
)
def test_the_selection_is_the_pipelines_to_the_row(method, in_scratch, monkeypatch):
    """The stages' scripts in a project; the API elsewhere, where nothing is computed yet."""
    project, elsewhere = in_scratch / "project", in_scratch / "elsewhere"
    tables = {"pool": 60, "queries": 2, "tests": 2}
    frames = {
        name: pl.read_parquet(ROOT / f"demo/world/{name}.parquet").head(count)
        for name, count in tables.items()
    }
    for folder in (project, elsewhere):
        folder.mkdir()
        (folder / "methods.yaml").write_text(yaml.safe_dump(small_methods(), sort_keys=False))
    for name, frame in frames.items():
        frame.write_parquet(project / f"{name}.parquet")
    shutil.copytree(ROOT / "eval_kinds", project / "eval_kinds")
    settings = {**SETTINGS, "method": method, "model": MODEL, "budget": 12, "seed": 3}
    for name in frames:
        settings[name] = {"path": f"{name}.parquet"}
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(project)
    for stage in ("plan", "dedup", "reference", "embed", "score", "aggregate"):
        runpy.run_path(str(ROOT / "stages" / f"{stage}.py"), run_name="__main__")
    monkeypatch.chdir(elsewhere)
    form = (FORMS | FITTED)[method]
    chosen = dataselect.select(
        form(frames["pool"]), form(frames["queries"]), tests=form(frames["tests"]),
        **{name: value for name, value in settings.items() if name not in frames},
    )  # fmt: skip
    out = project / "out"
    assert chosen.frame.equals(pl.read_parquet(out / "selection.parquet"))
    assert chosen.scores.equals(pl.read_parquet(out / "scores.parquet"))
    lines = chosen.train_jsonl("train.jsonl").read_bytes()
    assert lines == (out / "train.jsonl").read_bytes()
