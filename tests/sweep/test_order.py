"""What the runs of a sweep share, and that those which share most follow each other."""

import pytest
from tests.helpers import ROOT, mistake

from dataselect.plan.params import read_yaml
from dataselect.sweep.order import check_tasks, distinct, planned_runs
from dataselect.sweep.settings import read_members


@pytest.fixture
def runs(home):
    def plan_runs(text):
        (home / "s.yaml").write_text(text)
        params = read_yaml("params.yaml")
        members = read_members(home / "s.yaml", params)
        return planned_runs(members, params, read_yaml("methods.yaml"))

    return plan_runs


def counts(runs):
    return {step: len(found) for step, found in distinct(runs).items()}


def test_methods_with_the_same_features_follow_each_other(runs):
    found = runs("{methods: [rds, top_ppl, random, facility_location, mid_ppl], budgets: [1, 2]}")
    assert [run.member.method for run in found[::2]] == [
        *("rds", "facility_location", "top_ppl", "mid_ppl", "random")
    ]
    assert counts(found) == {
        "dedup": 1,
        "reference": 0,
        "embed": 2,
        "score": 6,  # facility_location chooses as it scores: once for each budget
        "aggregate": 10,
        "train": 10,
        "baseline": 1,
        "eval": 10,
    }


def test_budgets_and_seeds_of_a_method_without_draws_share_one_score(runs):
    found = runs("{methods: [rds], budgets: [1, 2, 3], seeds: [0, 1]}")
    assert [run.name for run in found] == [
        f"s-rds-{budget}-{seed}" for budget in (1, 2, 3) for seed in (0, 1)
    ]
    assert counts(found) == {
        "dedup": 1,
        "reference": 0,
        "embed": 1,
        "score": 1,
        "aggregate": 3,
        "train": 6,
        "baseline": 1,
        "eval": 6,
    }


def test_budgets_of_a_method_that_draws_share_the_score_of_their_seed(runs):
    found = runs("{methods: [random], budgets: [1, 2], seeds: [0, 1]}")
    assert [run.name for run in found] == [
        f"s-random-{budget}-{seed}" for seed in (0, 1) for budget in (1, 2)
    ]
    assert counts(found)["score"] == 2
    assert counts(found)["embed"] == 0


def test_a_reference_is_fitted_once_for_all_budgets(runs):
    found = runs("{methods: [less], budgets: [1, 2], seeds: [0, 1]}")
    assert counts(found)["reference"] == 2  # its warm-up draws rows by the seed
    assert counts(found)["embed"] == 2


def test_the_features_of_the_pool_serve_all_tasks_but_the_score_does_not(runs):
    found = runs("{methods: [rds], tasks: [all, sums]}")
    assert len({run.features for run in found}) == 1
    assert counts(found)["dedup"] == counts(found)["score"] == 2


def test_a_mistake_in_the_settings_names_the_run(runs):
    message = mistake(runs, "{methods: [rsd]}")
    assert message.startswith("run s-rsd-3-0: ")
    assert "Did you mean `rds`?" in message
    message = mistake(runs, "{methods: [rds], set: {train.epoch: 1}}")
    assert "Did you mean `epochs`?" in message


@pytest.mark.parametrize("tasks", ["[all, nosuch]", "[all, [nosuch, river]]"])
def test_a_task_that_is_not_there_is_named_before_anything_runs(tasks, runs):
    message = mistake(check_tasks, runs(f"{{methods: [random], tasks: {tasks}}}"))
    assert message.startswith("run s-random-3-0-nosuch")
    assert "tasks: `nosuch` has no queries" in message


def test_the_sweep_in_the_docs_is_one_of_the_demo(tmp_path, monkeypatch):
    page = (ROOT / "docs/sweep.md").read_text()
    (tmp_path / "copied.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    monkeypatch.chdir(ROOT)
    params = read_yaml("params.yaml")
    members = read_members(tmp_path / "copied.yaml", params)
    assert len(members) == 36
    of_tasks = {member.place[0]: member for member in members}  # one for each is enough
    found = planned_runs(list(of_tasks.values()), params, read_yaml("methods.yaml"))
    check_tasks(found)
    assert [run.params["tasks"] for run in found] == ["all", ["river"], ["addition", "sorting"]]
