"""Tasks of the papers by name in params.yaml."""

from pathlib import Path

import pytest

from dataselect.plan.params import read_yaml
from dataselect.plan.tasks import judge_note, show_tasks
from dataselect.tasks import task_names
from tests.helpers import ROOT, change, mistake, planned


def fetched(name, *sides):
    for side in sides:
        path = Path(f"remote/tasks/{name}/{side}.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_names_stand_for_the_files_that_were_fetched(home):
    fetched("gsm8k", "queries", "tests")
    fetched("mmlu", "tests")
    change({"tests": {"from": ["gsm8k", "mmlu"]}, "queries": {"from": "gsm8k", "tasks": "all"}})
    section = planned().dedup
    assert [file.path for file in section.tests] == [
        "remote/tasks/gsm8k/tests.parquet",
        "remote/tasks/mmlu/tests.parquet",
    ]
    assert [file.path for file in section.queries] == ["remote/tasks/gsm8k/queries.parquet"]
    assert section.query_tasks == "all"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"from": ["gsm8"]}, "params.yaml: tests.from: no task is called `gsm8`."),
        ({"from": ["squad"]}, "the task `squad` was not fetched. Run `dvc repro remote/tasks/"
         "dvc.yaml:task@squad`."),
        ({"from": ["wildchat"]}, "the task `wildchat` has no tests. Remove it from the list."),
        ({"from": ["gsm8k"], "path": "a"}, "tests.from: `path` is given too. Keep one of them."),
        ({"from": []}, "tests.from: expected names of tasks, found []. Name one."),
        ({"form": ["gsm8k"]}, "params.yaml: tests: expected `path`, or `from` with names of tasks; "
         "found form. Did you mean `from`?"),
        ({"from": 3}, "tests.from: expected names of tasks, found 3. Name one."),
        ({"from": [3]}, "tests.from: no task is called `3`."),
        ({"from": [["gsm8k"]]}, "tests.from: no task is called `['gsm8k']`."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(home, block, message):
    change({"tests": block})
    assert message in mistake(planned)


def test_a_task_without_queries_gives_tests_alone(home):
    fetched("svamp_pot", "tests")
    change({"tests": {"from": ["svamp_pot"]}})
    assert [file.path for file in planned().dedup.tests] == ["remote/tasks/svamp_pot/tests.parquet"]
    change({"queries": {"from": ["svamp_pot"]}})
    assert "queries.from: the task `svamp_pot` has no queries. Remove it" in mistake(planned)


def test_a_task_whose_programs_may_not_run_is_refused_by_name(home):
    change({"eval": {"kinds": {"svamp_pot": "mammoth_pot"}}})
    assert "the kind `mammoth_pot` runs programs that a model has generated. Set" in mistake(
        planned
    )


def test_the_table_of_tasks_fits_80_columns(in_scratch, capsys):
    show_tasks()
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:4] == ["mmlu", "285", "14,042", "–"] for line in lines)
    assert any(line.split()[:4] == ["svamp_pot", "–", "1,000", "–"] for line in lines)
    needing = "simuleq_pot, svamp_pot: needs eval.run_code: true"
    assert needing in " ".join(printed.split())


def test_all_tasks_that_were_not_fetched_are_named_at_once(home):
    fetched("squad", "tests")
    change({"tests": {"from": ["gsm8k", "squad", "mmlu"]}})
    assert mistake(planned).endswith(
        "the tasks `gsm8k`, `mmlu` were not fetched. Run `dvc repro "
        "remote/tasks/dvc.yaml:task@gsm8k remote/tasks/dvc.yaml:task@mmlu`."
    )


def test_a_task_that_will_not_be_judged_is_named(home):
    fetched("alpaca_eval", "tests")
    fetched("gsm8k", "tests")
    change({"tests": {"from": ["gsm8k", "alpaca_eval"]}})
    params = read_yaml("params.yaml")
    note = judge_note(params, planned().eval.options.judge)
    assert note.startswith("alpaca_eval: outputs will be written and not judged")
    change({"eval": {"judge": {"url": "http://127.0.0.1:1/v1", "model": "m"}}})
    params = read_yaml("params.yaml")
    assert judge_note(params, planned().eval.options.judge) is None


def test_git_ignores_every_fetched_task():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    stages = read_yaml(ROOT / "remote/tasks/dvc.yaml")["stages"]
    assert sorted(stages["task"]["foreach"]) == task_names()
    assert {f"/remote/tasks/{name}/" for name in task_names()} <= set(ignored)
