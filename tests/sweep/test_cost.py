"""What a sweep will take: what runs share is counted once."""

import pytest
from tests.helpers import mistake

from dataselect.errors import InputError
from dataselect.plan.estimate import Cost
from dataselect.plan.params import read_yaml
from dataselect.sweep import cost
from dataselect.sweep.order import planned_runs
from dataselect.sweep.settings import read_members


@pytest.fixture
def planned(home, monkeypatch):
    """Plans runs; features take 100, a score 10, a row of training 1."""
    read = []

    def write_sample(sections, folder, limit):
        read.append(folder)
        return 10, 5

    def selection_costs(sections, rows, folder):
        assert folder.is_dir()
        if sections.embed.features is None:
            return {}
        return {"embed": Cost(100, 100, 100), "score": Cost(10, 0, 10)}

    monkeypatch.setattr(cost, "write_sample", write_sample)
    monkeypatch.setattr(cost, "selection_costs", selection_costs)
    monkeypatch.setattr(cost, "training_cost", lambda s, rows, folder: Cost(rows, rows, rows))

    def plan_runs(text):
        (home / "s.yaml").write_text(text)
        params = read_yaml("params.yaml")
        members = read_members(home / "s.yaml", params)
        return planned_runs(members, params, read_yaml("methods.yaml"))

    plan_runs.read = read
    return plan_runs


def test_what_runs_share_is_counted_once(planned):
    runs = planned("{methods: [rds, facility_location, random], budgets: [2, 3], seeds: [0, 1]}")
    found = cost.sweep_costs(runs)
    assert found["embed"] == (Cost(100, 100, 100), 1)
    assert found["score"] == (Cost(30, 0, 30), 5)  # two of random, which take nothing
    assert found["train"] == (Cost(30, 30, 30), 12)
    assert len(planned.read) == 1  # the pool is read once for all methods


def test_a_budget_above_the_pool_is_named_with_its_run(planned):
    message = mistake(cost.sweep_costs, planned("{methods: [random], budgets: [3, 11]}"))
    assert message.startswith("run s-random-11-0: budget: 11 rows; the pool has 10.")


def test_a_model_that_cannot_be_loaded_is_named_with_its_run(planned, monkeypatch):
    def selection_costs(*_):
        raise InputError("the model `a/b` cannot be loaded")

    monkeypatch.setattr(cost, "selection_costs", selection_costs)
    message = mistake(cost.sweep_costs, planned("{methods: [rds]}"))
    assert message == "run s-rds-3-0: the model `a/b` cannot be loaded"


def test_the_page_says_how_many_times_and_how_much(planned, capsys):
    cost.show_cost(planned("{methods: [rds], budgets: [2, 3]}"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("The estimate leaves out dedup")
    assert max(map(len, lines)) <= 80
    rows = [line.replace("at least ", "").split() for line in lines]
    assert ["train", "2", "5.0", "s", "5.0e+00", "5", "bytes"] in rows
    assert ["all", "–", "115", "s", "1.0e+02", "115", "bytes"] in [
        [word.replace("1:55", "115").replace("min", "s") for word in row] for row in rows
    ]
