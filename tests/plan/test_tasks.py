"""Tasks of the papers by name in params.yaml."""

from pathlib import Path

import pytest

from dataselect.plan.tasks import show_tasks
from tests.helpers import change, mistake, planned


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
    needed = " ".join(printed.partition("eval.run_code: true is needed by ")[2].split())
    assert needed.startswith("gsm8k_zero_shot_pot, humaneval, math_pot, mathematics_pot,")
