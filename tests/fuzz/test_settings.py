"""params.yaml and methods.yaml of all kinds, through the stage that reads them."""

import json
import shutil
from pathlib import Path

import pytest

from tests.fuzz.case import project, run_stages
from tests.fuzz.cases import run_cases
from tests.fuzz.setting_files import base_params, dump, methods_files, params_files
from tests.helpers import POOL, QUERIES, ROOT

SHARDS, CASES = 5, 500


def write_rows():
    """The files of rows that the settings name."""
    for name, rows in {"pool": POOL, "queries": QUERIES, "tests": QUERIES}.items():
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def check_params(data):
    """Plans with one params.yaml; dedup reads what the plan says."""
    with project() as home:
        write_rows()
        shutil.copy(ROOT / "methods.yaml", home)
        (home / "params.yaml").write_bytes(data)
        return run_stages("plan", "dedup")


def check_methods(case):
    """Plans with one methods.yaml."""
    data, method = case
    with project() as home:
        write_rows()
        (home / "methods.yaml").write_bytes(data)
        with Path("params.yaml").open("w") as file:
            dump(base_params(method), file)
        return run_stages("plan")


@pytest.mark.slow
def test_any_params_are_taken_or_refused_with_a_message():
    assert run_cases(params_files(), check_params, 40)["done"]


@pytest.mark.slow
def test_any_methods_are_taken_or_refused_with_a_message():
    assert run_cases(methods_files(), check_methods, 40)["done"]


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_more_params_are_taken_or_refused_with_a_message(shard):
    assert run_cases(params_files(), check_params, CASES, fresh=True)["done"]


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(3))
def test_many_more_methods_are_taken_or_refused_with_a_message(shard):
    assert run_cases(methods_files(), check_methods, CASES, fresh=True)["done"]
