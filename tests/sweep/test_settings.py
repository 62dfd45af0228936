"""The file of a sweep: the runs that it stands for, and mistakes in it."""

import pytest
import yaml
from tests.helpers import ROOT, mistake

from dataselect.plan.params import read_yaml
from dataselect.sweep.settings import changed, read_members
from dataselect.sweep.workspace import write_params

PARAMS = {"method": "rds", "budget": 300, "seed": 7, "tasks": "all", "train": {"epochs": 10}}


def members(folder, **given):
    path = folder / "demo.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return read_members(path, PARAMS)


def test_every_combination_is_a_run_with_a_name(tmp_path):
    runs = members(tmp_path, methods=["rds", "random"], budgets=[10, "5%"], seeds=[0, 1])
    assert [run.name for run in runs[:5]] == [
        *("demo-rds-10-0", "demo-rds-10-1", "demo-rds-5%-0", "demo-rds-5%-1", "demo-random-10-0")
    ]
    assert runs[2].changes == {"method": "rds", "budget": "5%", "seed": 0}
    assert len({run.name for run in runs}) == 8


def test_a_name_of_a_method_may_have_signs_that_git_refuses(tmp_path):
    (run,) = members(tmp_path, methods=["my/method ^2"])
    assert (run.name, run.method) == ("demo-my_method__2-300-7", "my/method ^2")


def test_what_is_left_out_is_that_of_params(tmp_path):
    (run,) = members(tmp_path, methods=["rds"], name="other", set={"train.epochs": 1})
    assert run.name == "other-rds-300-7"
    params = changed(PARAMS, run.changes)
    assert (params["budget"], params["seed"], params["train"]) == (300, 7, {"epochs": 1})
    assert PARAMS["train"] == {"epochs": 10}


def test_tasks_stand_in_the_names_and_are_lists(tmp_path):
    budgets = [{"tokens": 2000}]
    runs = members(tmp_path, methods=["rds"], budgets=budgets, tasks=["all", "a b", ["c", "d"]])
    assert [run.name for run in runs] == [
        f"demo-rds-2000tokens-7-{label}" for label in ("all", "a_b", "c+d")
    ]
    assert [run.changes["tasks"] for run in runs] == ["all", ["a b"], ["c", "d"]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "methods: missing"),
        ({"methods": []}, "methods: an empty list"),
        ({"methods": ["rds", "rds"]}, "methods: 'rds' stands there twice"),
        ({"methods": ["rds"], "seeds": []}, "seeds: an empty list"),
        ({"methods": ["rds"], "budgets": ["5%", "5%"]}, "budgets: '5%' stands there twice"),
        ({"methods": ["rds"], "budgets": [-1]}, "budgets: expected a whole number of rows above 0"),
        ({"methods": ["rds"], "seeds": ["a"]}, "seeds"),
        ({"methods": ["rds"], "budget": [1]}, "Did you mean `budgets`?"),
        ({"methods": ["rds"], "set": {"seed": 1}}, "has a list of its own. Write `seeds: [1]`"),
        ({"methods": ["rds"], "set": {"tasks": ["a", "b"]}}, "Write `tasks: [[a, b]]`"),
        ({"methods": ["rds"], "set": {"budget.tokens": 9}}, "Write `budgets: [{tokens: 9}]`"),
        ({"methods": "rds"}, "methods: expected a list; found 'rds'. Write `[rds]`."),
        ({"methods": ["rds"], "budgets": {"tokens": 9}}, "Write `[{tokens: 9}]`."),
        ({"methods": ["rds"], "seeds": 3}, "Write `[3]`."),
        ({"methods": ["rds"], "tasks": "all"}, "Write `[all]`."),
        ({"methods": ["rds"], "name": "a b"}, "expected letters, digits"),
        ({"methods": ["rds"], "name": "a..b"}, "expected letters, digits"),
        ({"methods": ["rds"], "tasks": ["a", ["a"]]}, "two runs would have one name"),
    ],
)
def test_a_mistake_is_named_with_its_place(given, expected, tmp_path):
    assert expected in mistake(members, tmp_path, **given)


def test_a_setting_below_a_plain_value_is_refused():
    message = mistake(changed, PARAMS, {"budget.rows": 1})
    assert "`budget` of params.yaml is 300, which has no keys" in message


def test_params_keep_their_comments_and_get_the_changes(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    changes = {"method": "random", "budget": "5%", "tasks": ["a"], "train.epochs": 1}
    write_params(path, changes)
    assert read_yaml(path) == changed(read_yaml(ROOT / "params.yaml"), changes)
    assert "# a key of methods.yaml" in path.read_text()


def test_the_example_is_36_runs():
    runs = read_members(ROOT / "docs/example/sweep.yaml", read_yaml(ROOT / "params.yaml"))
    assert len(runs) == 36
    assert runs[0].name == "demo-random-50-0"
