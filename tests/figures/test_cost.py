"""Score against FLOPs and against rows, and pools of several sizes."""

from dataselect.compare.find_runs import named_runs
from dataselect.figures import draw
from dataselect.figures.cost import front
from tests.figures.made_up import marks


def test_the_front_is_what_nothing_cheaper_beats():
    points = [
        {"flops": flops, "score": score}
        for flops, score in ((3, 0.5), (1, 0.4), (2, 0.3), (3, 0.6), (4, 0.6))
    ]
    assert front(points) == [{"flops": 1, "score": 0.4}, {"flops": 3, "score": 0.6}]


def test_pools_are_series_of_their_own(folders):
    rows = marks(draw(named_runs(list(folders.values())), ["cost"])["cost"])
    assert {row["pool"] for row in rows} == {"pool of 400", "pool of 700"}
    assert {(row["method"], row["pool"]) for row in rows} == {
        ("random", "pool of 400"),
        ("rds", "pool of 400"),
        ("s2l", "pool of 400"),
        ("rds", "pool of 700"),
    }


def test_budgets_are_a_curve_for_each_method(runs):
    rows = marks(draw(runs, ["budgets"])["budgets"])
    before = {row["task"]: row["before"] for row in rows if "before" in row}
    curves = {(row["method"], row["rows"]) for row in rows if "before" not in row}
    assert set(before) == {row["task"] for row in rows}
    assert curves == {(m, b) for m in ("random", "rds", "longest") for b in (300, 900)}
    reasons = {}
    one = [run for run in runs if run.budget == 300]
    assert not draw(one, ["budgets"], left_out=reasons.__setitem__)
    assert "one budget" in reasons["budgets"]
