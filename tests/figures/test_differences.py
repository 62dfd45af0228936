"""The forest plot of the paired differences."""

import pytest

from dataselect.compare.scores import MEAN
from dataselect.figures import draw
from tests.figures.made_up import marks
from tests.helpers import ROOT


def test_every_method_and_task_has_a_point_and_the_mean_is_first(runs):
    figure = draw(runs, ["differences"])["differences"]
    rows = marks(figure)
    assert {(row["method"], row["task"]) for row in rows} == {
        (f"{method} {budget}", task)
        for method in ("rds", "longest")
        for budget in (300, 900)
        for task in (MEAN, "addition", "sorting")
    }
    assert figure.spec()["facet"]["sort"][0] == MEAN
    (rds,) = [row for row in rows if (row["method"], row["task"]) == ("rds 900", MEAN)]
    assert rds["difference"] == "shown"
    assert rds["low"] < rds["points"] < rds["high"]


def test_one_method_is_left_out_with_a_reason(runs):
    reasons = {}
    alone = [run for run in runs if run.method == "rds"]
    assert draw(alone, ["differences"], left_out=reasons.__setitem__) == {}
    assert "one method only" in reasons["differences"]


def test_the_docs_picture_is_small_and_of_this_figure():
    svg = (ROOT / "docs/figures.svg").read_text()
    assert len(svg) < 60_000
    assert ">Difference from random<" in svg


@pytest.mark.parametrize("title", [True, False])
def test_a_figure_is_svg_and_png_with_or_without_its_title(runs, title):
    figure = draw(runs, ["differences"])["differences"]
    assert ("Difference from random" in figure.svg(title=title)) is title
    assert figure.png(title=title).startswith(b"\x89PNG")
