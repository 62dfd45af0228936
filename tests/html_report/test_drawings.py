"""The figures of a report: drawn where there are data, else said to be missing."""

import sys

import pytest

from dataselect.compare.find_runs import named_runs
from dataselect.compare.recorded import Run
from dataselect.html_report.drawings import draw_figures
from tests.html_report.conftest import write_harmful_run


@pytest.fixture
def runs(run_folder):
    path = run_folder / "evaluation.parquet"
    return [Run(name, name, 3, 0, evaluation=path, out=run_folder) for name in ("random", "rds")]


def test_what_can_be_drawn_is_an_svg_and_the_rest_has_a_reason(runs):
    found = draw_figures(runs, None)
    assert found.figures
    assert all(
        svg.startswith("<svg") and title and caption for title, caption, svg in found.figures
    )
    assert any(line.startswith("cost: ") for line in found.missing)


def test_without_the_extra_or_runs_there_are_none(runs, monkeypatch):
    assert not draw_figures([], None).figures
    monkeypatch.setitem(sys.modules, "altair", None)
    found = draw_figures(runs, None)
    assert found.figures == []
    assert "dataselect[figures]" in found.missing[0]


def test_control_characters_in_names_end_nothing(in_scratch):
    write_harmful_run()
    (run,) = named_runs(["out"])
    figures = draw_figures([run], None).figures
    assert figures
    assert not any("\x1b" in svg for _, _, svg in figures)
