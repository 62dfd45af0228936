"""Which runs of a sweep count as done: by their experiments' settings, plans and evaluations."""

import json
from dataclasses import replace

import pytest
import yaml
from tests.helpers import mistake

from dataselect.compare.outputs import md5
from dataselect.compare.recorded import PARAMS, PLAN, Run
from dataselect.compare.revisions import Experiment
from dataselect.plan.params import read_yaml
from dataselect.sweep import done
from dataselect.sweep.order import as_json, planned_runs
from dataselect.sweep.settings import read_members


@pytest.fixture
def repository(home, monkeypatch):
    """Two runs, both with a good experiment of the commit `head`, to be spoilt by the tests."""
    (home / "s.yaml").write_text("{methods: [random], seeds: [0, 1]}")
    params = read_yaml("params.yaml")
    runs = planned_runs(read_members(home / "s.yaml", params), params, read_yaml("methods.yaml"))
    (home / "evaluation").write_bytes(b"scores")
    good = Run("", evaluation=home / "evaluation", digest=md5(b"scores"))
    found = {
        "runs": runs,
        "experiments": [Experiment(run.name, run.name, "head", "finished") for run in runs],
        "files": {
            run.name: {
                PARAMS: yaml.safe_dump(run.params).encode(),
                PLAN: json.dumps(as_json(run.sections)).encode(),
            }
            for run in runs
        },
        "recorded": {run.name: good for run in runs},
    }
    monkeypatch.setattr(done, "cache_folder", lambda: home)
    monkeypatch.setattr(done.revisions, "experiments", lambda: found["experiments"])
    monkeypatch.setattr(
        done.revisions, "read_files", lambda names, _: [found["files"][name] for name in names]
    )
    monkeypatch.setattr(done.recorded, "recorded_run", lambda name, *_: found["recorded"][name])
    return found


def missing(found):
    progress = done.what_is_missing(found["runs"], "head")
    return [run.name for run in progress.missing], progress.notes


def test_runs_as_they_are_to_be_are_done(repository):
    assert missing(repository) == ([], [])


def test_a_run_without_an_experiment_is_missing(repository):
    del repository["experiments"][0]
    assert missing(repository) == (["s-random-3-0"], [])


def test_an_experiment_of_another_commit_or_unfinished_does_not_count(repository):
    first, second = repository["experiments"]
    repository["experiments"] = [first._replace(baseline="old"), second._replace(state="running")]
    names, notes = missing(repository)
    assert names == ["s-random-3-0", "s-random-3-1"]
    assert notes[0].startswith("1 runs have an experiment of another commit")


def test_other_files_or_code_run_it_again(repository):
    plan = json.loads(repository["files"]["s-random-3-1"][PLAN])
    plan["score"]["code"] = "older"
    plan["cost"]["code"] = "older"  # decides no result
    repository["files"]["s-random-3-1"][PLAN] = json.dumps(plan).encode()
    assert missing(repository) == (
        ["s-random-3-1"],
        ["s-random-3-1: it was made with other files or code (score); it is run again"],
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"problem": "its evaluation is gone. Bring it"}, "its evaluation is gone"),
        ({"digest": "other"}, "its evaluation in DVC's cache is damaged"),
    ],
)
def test_an_evaluation_that_cannot_be_read_runs_it_again(repository, change, expected):
    repository["recorded"]["s-random-3-0"] = replace(
        repository["recorded"]["s-random-3-0"], **change
    )
    names, notes = missing(repository)
    assert names == ["s-random-3-0"]
    assert notes == [f"s-random-3-0: {expected}; it is run again"]


def test_a_name_that_has_other_settings_is_refused(repository):
    for run in repository["runs"]:
        params = {**run.params, "method": "rds", "train": {"epochs": 2}}
        repository["files"][run.name][PARAMS] = yaml.safe_dump(params).encode()
    message = mistake(missing, repository)
    assert (
        "\n  s-random-3-1: method is 'rds' there, 'random' in the sweep, train.epochs is 2 there, "
        "not set in the sweep\n"
    ) in message
    assert message.endswith("dvc exp remove s-random-3-0 s-random-3-1")
