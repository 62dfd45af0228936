"""params.yaml and methods.yaml are read as YAML 1.2, as DVC reads them."""

import json
import subprocess
import sys

import pytest

from dataselect.plan.params import read_yaml
from tests.helpers import change, mistake, planned

YAML = {
    "nothing": ("", "expected lines of `name: value`, found None. Add them."),
    "a list": ("- rds\n", "expected lines of `name: value`, found ['rds']. Add them."),
    "a bracket": ("tasks: [a\n", "not YAML: while parsing a flow sequence"),
    "a tab": ("pool:\n\tpath: x\n", "not YAML: while scanning for the next token, found character"),
    "a colon": ("method: rds: x\n", "not YAML: mapping values are not allowed in this context"),
    "a tag": ("seed: !!python/name:os.system\n", "not YAML: could not determine a constructor"),
    "a date that is none": ("seed: 2024-13-45\n", "not YAML: month must be in 1..12"),
    "a name twice": (
        "seed: 1\nbudget: 5\nseed: 2\n",
        "not YAML: duplicate key `seed`, again in line 3. Fix the file there.",
    ),
    "a name twice in a block": (
        "train: {epochs: 1, epochs: 2}\n",
        "not YAML: duplicate key `epochs`, again in line 1. Fix the file there.",
    ),
}


@pytest.mark.parametrize("name", YAML)
def test_a_file_of_settings_that_is_none(in_scratch, name):
    text, message = YAML[name]
    (in_scratch / "params.yaml").write_text(text)
    assert mistake(read_yaml, "params.yaml").startswith(f"params.yaml: {message}")


def test_one_block_may_be_built_on_another(in_scratch):
    blocks = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\n"
    (in_scratch / "x.yaml").write_text(blocks)
    assert read_yaml("x.yaml") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 3, "y": 2},
        "c": {"x": 3, "y": 4},
    }


def test_a_file_of_settings_in_latin_1(in_scratch):
    (in_scratch / "params.yaml").write_bytes("tasks: [größe]\n".encode("latin-1"))
    assert mistake(read_yaml, "params.yaml").startswith(
        "params.yaml: not YAML: 'utf-8' codec can't"
    )


def test_a_file_of_settings_that_is_not_there(in_scratch):
    assert mistake(read_yaml, "params.yaml") == (
        f"params.yaml: cannot be read: No such file or directory (looked from {in_scratch}). "
        "Expected a YAML file."
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E-3", 0.001),
        ("1.0e-3", 0.001),
        (".5e1", ".5e1"),
        ("-2e5", -200_000.0),
        ("+1e+2", 100.0),
        ("0.001", 0.001),
        ("2", 2),
        ("e-3", "e-3"),
        ("1e", "1e"),
        ("1e-3x", "1e-3x"),
        ('"1e-3"', "1e-3"),
    ],
)
def test_numbers_are_yaml_1_2(in_scratch, text, value):
    (in_scratch / "x.yaml").write_text(f"\ufeffx: {text}\n", encoding="utf-8")
    found = read_yaml("x.yaml")["x"]
    assert found == value
    assert type(found) is type(value)


DVC = """
import json, sys
from dvc.utils.serialize import load_yaml
print(json.dumps(load_yaml(sys.argv[1])))
"""


def test_dvc_reads_the_same_values(in_scratch):
    text = "tasks: [no, yes, on, off]\nbudget: 010\nrate: 1e-3\nyear: 1_000\nsexagesimal: 1:30\n"
    (in_scratch / "x.yaml").write_text(text)
    read_by_dvc = subprocess.run(
        [sys.executable, "-c", DVC, "x.yaml"], capture_output=True, text=True, check=True
    ).stdout
    ours = read_yaml("x.yaml")
    assert ours == json.loads(read_by_dvc)
    assert ours["tasks"] == ["no", "yes", "on", "off"]
    assert ours["budget"] == 10


def test_a_task_may_be_called_no(home):
    change({})
    text = (home / "params.yaml").read_text().replace("tasks: all", "tasks: [no, sums]")
    (home / "params.yaml").write_text(text)
    assert planned().dedup.tasks == ["no", "sums"]
