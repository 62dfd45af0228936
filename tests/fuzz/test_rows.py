"""Pools, queries and tests of all kinds of files, through the stages that read them."""

from pathlib import Path

import pytest
import yaml

from tests.fuzz.case import project, run_stages
from tests.fuzz.cases import run_cases
from tests.fuzz.row_files import projects
from tests.helpers import GOLDEN, ROOT

METHODS = yaml.safe_load((ROOT / "methods.yaml").read_text())
METHODS = {name: METHODS[name] for name in ("random", "random_balanced", "longest")}
STAGES = ("plan", "dedup", "embed", "score", "aggregate")
SHARDS, CASES = 8, 400


def check(case):
    """Runs the stages on one project."""
    with project() as home:
        params = {"model": {"name": str(GOLDEN / "tiny-llama"), "max_tokens": case["max_tokens"]}}
        params |= {"method": case["method"], "budget": "50%", "tasks": "all"}
        params |= {"near_duplicates": case["near"], "decontaminate": case["decontaminate"]}
        for name in ("pool", "queries", "tests"):
            if case[name] is not None:
                ending, data = case[name]
                Path(f"{name}.{ending}").write_bytes(data)
                params[name] = {"path": f"{name}.{ending}"}
        params["pool"] |= case["rules"]
        (home / "params.yaml").write_text(yaml.safe_dump(params))
        (home / "methods.yaml").write_text(yaml.safe_dump(METHODS))
        return run_stages(*STAGES)


@pytest.mark.slow
def test_any_rows_are_read_or_refused_with_a_message():
    ends = run_cases(projects, check, 30)
    assert ends["done"], ends


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_more_rows_are_read_or_refused_with_a_message(shard):
    ends = run_cases(projects, check, CASES, fresh=True)
    assert ends["done"] >= CASES // 40, ends
