"""Which folders the words of a user name."""

import pytest

from dataselect.ask.runs import run_folders
from tests.helpers import mistake


def test_folders_of_outputs_and_of_projects(out):
    assert {name: str(path) for name, path in run_folders([]).items()} == {"out": "out"}
    runs = run_folders([f"a={out}", f"b={out.parent}"])
    assert runs == {"a": out, "b": out}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["out"], "--run out: expected NAME=FOLDER. Write --run out=…"),
        (["=out"], "--run =out: expected NAME=FOLDER."),
        (["a="], "--run a=: expected NAME=FOLDER."),
        (["a=out", "a=out"], "another run is called `a`. Change one name."),
        (["a=gone"], "gone: no outputs of a run, such as selection.parquet, are there"),
        (["a=sql"], "sql: no outputs of a run"),
    ],
)
def test_mistakes(out, given, message):
    assert message in mistake(run_folders, given)
