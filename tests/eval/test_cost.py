"""What a run cost, added up from what its stages noted and wrote."""

import json

from dataselect.eval.cost import STAGE_OUTPUTS, cost
from dataselect.plan.params import read_yaml
from tests.helpers import ROOT


def write(home, path, text):
    (home / path).parent.mkdir(parents=True, exist_ok=True)
    (home / path).write_text(text)


def test_seconds_bytes_and_flops_are_added_up(tmp_path):
    figures = {
        "dedup": {"seconds": 1.0, "kept": 5},
        "reference": {"seconds": 2.0, "flops": 10.0},
        "embed": {"seconds": 3.0, "flops": 100.0, "tokens": 7},
        "train": {"seconds": 4.0, "flops": 1000.0, "rows": 2},
        "baseline": {"seconds": 5.0},
    }
    for name, noted in figures.items():
        write(tmp_path, f"metrics/{name}.json", json.dumps(noted))
    write(tmp_path, "out/features/pool/00000.safetensors", "12345")
    write(tmp_path, "out/features/features.json", "123")
    write(tmp_path, "out/scores.parquet", "12")
    write(tmp_path, "out/groups.parquet", "1")
    totals = cost(tmp_path)
    assert list(totals) == ["seconds", "bytes", "flops"]
    assert totals["seconds"] == {
        "dedup": 1.0, "reference": 2.0, "embed": 3.0, "score": None, "aggregate": None,
        "train": 4.0, "baseline": 5.0, "eval": None,
    }  # fmt: skip
    assert totals["bytes"] == {
        "dedup": 0, "reference": 0, "embed": 8, "score": 3, "aggregate": 0, "train": 0,
        "baseline": 0, "eval": 0,
    }  # fmt: skip
    assert totals["flops"]["tokens"] == {"selection": 110.0, "training": 1000.0, "total": 1110.0}


def test_without_a_reference_or_features_selection_costs_nothing(tmp_path):
    assert cost(tmp_path)["flops"]["tokens"] == {"selection": 0.0, "training": 0.0, "total": 0.0}


def test_every_stage_and_output_of_the_pipeline_is_counted():
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    assert set(stages) == {"plan", *STAGE_OUTPUTS, "cost"}
    for name, outputs in STAGE_OUTPUTS.items():
        declared = [path for path in stages[name]["outs"] if not path.startswith("metrics/")]
        assert sorted(declared) == sorted(outputs), name
