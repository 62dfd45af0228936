"""What benchmarks/methods.py keeps of a run is enough for `dataselect compare`, and small."""

import json

import polars as pl
from benchmarks.made_up_runs import MadeUp
from benchmarks.methods import keep_evaluation

from dataselect.compare.comparison import compare_runs
from dataselect.compare.find_runs import named_runs
from dataselect.data import tables

RUNS = [
    MadeUp(f"{method}-{seed}", method, seed=seed, gain=gain, before=-0.3)
    for method, gain in (("random", 0.0), ("rds", 0.2))
    for seed in range(2)
]

SELECTION = pl.DataFrame({"rank": [0, 1], "row": [7, 3], "id": ["a", "b"]})


def test_kept_runs_are_compared_like_whole_ones(tmp_path):
    whole, kept = tmp_path / "whole", tmp_path / "kept"
    for run in RUNS:
        (whole / run.name / "out").mkdir(parents=True)
        (whole / run.name / "metrics").mkdir()
        run.evaluation().write_parquet(whole / run.name / "out/evaluation.parquet")
        run.base.evaluation().write_parquet(whole / run.name / "out/baseline.parquet")
        SELECTION.write_parquet(whole / run.name / "out/selection.parquet")
        for name in ("eval.json", "cost.json"):
            content = run.files()[f"metrics/{name}"]
            (whole / run.name / "metrics" / name).write_bytes(content)
        keep_evaluation(whole / run.name, kept / run.name)
    expected, found = (
        compare_runs(named_runs([str(folder / run.name) for run in RUNS]), per_task=True)
        for folder in (whole, kept)
    )
    assert found.shown == expected.shown
    assert found.not_shown == expected.not_shown
    assert [(row.task, row.condition, row.seeds, row.score, row.flops) for row in found.rows] == [
        (row.task, row.condition, row.seeds, row.score, row.flops) for row in expected.rows
    ]
    table = tables.read("evaluation", kept / "rds-1/evaluation.parquet")
    assert table["output"].null_count() == table.height
    assert sum(path.stat().st_size for path in (kept / "rds-1").glob("*.parquet")) < 16_000


def test_a_run_without_a_baseline_is_kept_in_place_of_an_earlier_one(tmp_path):
    home, folder = tmp_path / "workspace", tmp_path / "kept"
    (home / "out").mkdir(parents=True)
    (home / "metrics").mkdir()
    (folder / "metrics").mkdir(parents=True)
    (folder / "baseline.parquet").write_text("of an earlier run")
    RUNS[0].evaluation().write_parquet(home / "out/evaluation.parquet")
    tables.write("evaluation", tables.empty("evaluation"), home / "out/baseline.parquet")
    SELECTION.write_parquet(home / "out/selection.parquet")
    for name in ("eval.json", "cost.json"):
        (home / "metrics" / name).write_bytes(RUNS[0].files()[f"metrics/{name}"])
    keep_evaluation(home, folder)
    kept = {path.name for path in folder.iterdir()}
    assert kept == {"evaluation.parquet", "selection.parquet", "metrics"}
    assert pl.read_parquet(folder / "selection.parquet").to_dict(as_series=False) == {
        "rank": [0, 1], "row": [7, 3]
    }  # fmt: skip
    assert pl.read_parquet(folder / "evaluation.parquet").height == 200
    assert json.loads((folder / "metrics/eval.json").read_text())["run"]["method"] == "random"
