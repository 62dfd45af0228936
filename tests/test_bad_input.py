"""A user's mistake is one clear message: where, expected, found, what to do.

And it ends the stage, with nothing written.
"""

import json
import subprocess
import sys

import polars as pl
import pytest

from dataselect.plan.params import read_yaml
from tests.helpers import POOL, ROOT, change, run


def stage(name, home):
    return run("python", str(ROOT / "stages" / f"{name}.py"), cwd=home, check=False)


def files(home):
    """Every file but those of the scratch folder, with its content."""
    paths = [p for p in home.rglob("*") if p.is_file() and ".scratch" not in p.parts]
    return {str(p.relative_to(home)): p.read_bytes() for p in paths}


# As a user: the stages' scripts, in a folder of one's own.


def refused(name, home):
    """Runs a stage that must fail: the message, with all around it checked."""
    before = files(home)
    done = stage(name, home)
    assert done.returncode == 1
    start, end = f"\ndataselect {name}: ", "\n\n"
    assert done.stderr.startswith(start)
    assert done.stderr.endswith(end)
    assert done.stdout == ""
    assert files(home) == before
    return done.stderr[len(start) : -len(end)]


@pytest.mark.slow
def test_without_a_mistake_it_runs_and_aggregate_refuses_a_budget_above_the_pool(home):
    for name in ("plan", "dedup", "embed", "score", "aggregate"):
        done = stage(name, home)
        assert (done.returncode, done.stderr) == (0, "")
    chosen = [json.loads(line) for line in (home / "out/train.jsonl").read_text().splitlines()]
    assert len(chosen) == 3
    assert {row["id"] for row in chosen} <= {f"r{i}" for i in range(8)}
    assert {row["source"] for row in chosen} == {"pool"}
    change({"budget": 9})
    assert stage("plan", home).returncode == 0
    assert refused("aggregate", home) == (
        "budget: 9 rows; the pool has 8 (after removing 2 exact duplicates). Lower `budget` "
        "in params.yaml to at most 8."
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"pool": {"path": "pol.jsonl"}},
            "pool.path: `pol.jsonl`: there is no such file (looked from {home}). Set `pool.path` "
            "in params.yaml to a file, a glob or a list of them.",
        ),
        (
            {"method": "randm"},
            "params.yaml: method: no method is called `randm`. Did you mean `random`? There are: "
            "{methods}.",
        ),
        (
            {"budget": -1},
            "params.yaml: budget: expected a whole number of rows above 0, or a share of the pool "
            'above 0% and at most 100%, like "5%"; found -1. Fix it there.',
        ),
    ],
    ids=["a missing file", "an unknown method", "a negative budget"],
)
@pytest.mark.slow
def test_plan_refuses(home, settings, message):
    change(settings)
    methods = ", ".join(read_yaml("methods.yaml"))
    assert refused("plan", home) == message.format(home=home, methods=methods)


def test_plan_refuses_what_is_not_yaml_and_leaves_the_last_plan(home):
    (home / "plan.json").write_text("the last plan")
    (home / "params.yaml").write_text("budget: 3\nmethod: [random\nseed: 0\n")
    message = refused("plan", home)
    assert message.startswith("params.yaml: not YAML: ")
    assert "line 3" in message


@pytest.mark.parametrize(
    ("file", "rows", "message"),
    [
        (
            "pool",
            [*POOL, "{not json"],
            "pool.jsonl:11: not JSON: Expecting property name enclosed in double quotes at column "
            "2. Fix the row, or set `pool.on_bad_row: drop` in params.yaml to leave such rows "
            "out.",
        ),
        (
            "pool",
            [{**POOL[0], "id": "r1"}, POOL[1], POOL[2]],
            "pool.path: 1 ids belong to several different rows: `r1` at pool.jsonl:1, "
            "pool.jsonl:2. Expected one id per row. Give each its own, or set `pool.id` in "
            "params.yaml: `prefix` puts the source before each id, `content` makes all ids from "
            "the content.",
        ),
        ("queries", [], "queries.path: no row in queries.jsonl. Expected at least one."),
    ],
    ids=["a line that is not JSON", "an id twice", "no query"],
)
@pytest.mark.slow
def test_dedup_refuses(home, file, rows, message):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (home / f"{file}.jsonl").write_text("".join(line + "\n" for line in lines))
    assert stage("plan", home).returncode == 0
    assert refused("dedup", home) == message


@pytest.mark.slow
def test_dedup_leaves_bad_rows_out_if_so_wanted(home):
    with (home / "pool.jsonl").open("a") as file:
        file.write("{not json\n")
    change({"pool": {"path": "pool.jsonl", "on_bad_row": "drop"}})
    for name in ("plan", "dedup"):
        done = stage(name, home)
        assert (done.returncode, done.stderr) == (0, "")
    assert pl.read_parquet(home / "out/pool.parquet").height == 8
    assert pl.read_parquet(home / "out/dropped.parquet").rows() == [
        ("r8", "pool", "duplicate", "r0", "pool.jsonl:9"),
        ("r9", "pool", "duplicate", "r1", "pool.jsonl:10"),
        (
            "pool.jsonl:11",
            "pool",
            "bad row",
            "not JSON: Expecting property name enclosed in double quotes at column 2",
            "pool.jsonl:11",
        ),
    ]


def test_plan_starts_at_once(home):
    heavy = {"torch", "transformers", "pyarrow", "duckdb", "sklearn", "dvclive", "peft", "lm_eval"}
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__'); "
        "print(*sys.modules, sep='\\n')"
    )
    command = [sys.executable, "-c", code, str(ROOT / "stages/plan.py")]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=True)
    assert "dataselect.plan.run" in done.stdout.splitlines()
    assert heavy & set(done.stdout.splitlines()) == set()


@pytest.mark.slow
def test_a_plan_of_another_version(home):
    assert stage("plan", home).returncode == 0
    sections = json.loads((home / "plan.json").read_text())
    del sections["dedup"]["code"]
    (home / "plan.json").write_text(json.dumps(sections))
    assert refused("dedup", home) == (
        "plan.json: dedup.code: Field required; another version of the program wrote it. Run "
        "`dvc repro plan`."
    )
