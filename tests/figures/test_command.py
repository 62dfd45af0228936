"""The command `dataselect figures`."""

import sys

import pytest
from typer.testing import CliRunner

from dataselect import report
from dataselect.cli import app
from dataselect.errors import InputError
from dataselect.figures.drawing import FIGURES


def printed(*arguments):
    """What the command prints; an error is raised as it is."""
    with report.console.capture() as text:
        done = CliRunner().invoke(app, ["figures", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return " ".join(text.get().split())


@pytest.mark.slow
def test_figures_of_dvcs_experiments_are_written_and_the_others_have_a_reason(runs, tmp_path):
    out = tmp_path / "figures"
    text = printed("rds-300-0", "random-300-1", "--out", str(out))
    written = {path.name for path in out.iterdir()}
    drawn = {"differences", "cost"}
    assert written == {f"{name}.{form}" for name in drawn for form in ("svg", "png")} | {
        "captions.md"
    }
    page = (out / "captions.md").read_text()
    for name in set(FIGURES) - drawn:
        assert f"{name} is left out: " in text
        assert f"- `{name}`: " in page
    assert "![Difference from random](differences.svg)" in page


def test_bad_input_is_refused_and_writes_nothing(runs, tmp_path, monkeypatch):
    out = tmp_path / "figures"
    for arguments, message in {
        ("--only", "diffrences"): "Did you mean `differences`",
        ("--only", "purity"): "no figure can be drawn. purity: no run has clusters",
        ("nothing",): "no run is called `nothing`",
    }.items():
        with pytest.raises(InputError, match=message):
            printed(*arguments, "--out", str(out))
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(InputError, match=r"pip install 'dataselect\[figures\]'"):
        printed("--out", str(out), "--only", "differences")
    assert not out.exists()
