"""Score against FLOPs and against rows, and pools of several sizes."""

from benchmarks.made_up_runs import MadeUp

from dataselect.compare.find_runs import named_runs
from dataselect.figures import draw
from dataselect.figures.cost import front
from tests.figures.made_up import marks
from tests.figures.made_up_outputs import write_run


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


def test_the_model_before_training_has_no_budget(tmp_path):
    names = []
    for budget in (50, 60):
        run = MadeUp(f"rds-{budget}", "rds", budget=budget, before=-0.1)
        names.append(write_run(tmp_path / run.name, run))
        run.base.evaluation().write_parquet(f"{names[-1]}/out/baseline.parquet")
    rows = marks(draw(named_runs(names), ["budgets"])["budgets"])
    curves = [row for row in rows if "before" not in row]
    assert {(row["method"], row["rows"]) for row in curves} == {("rds", 50), ("rds", 60)}


def test_pools_with_as_many_rows_are_told_apart(folders, tmp_path):
    run = MadeUp("other", "rds", budget=60, tasks={"addition": 40, "gsm8k": 40})
    other = write_run(tmp_path / "other", run, sources=9)
    rows = marks(draw(named_runs([folders["rds-0"], other]), ["cost"])["cost"])
    assert {row["pool"] for row in rows} == {"pool of 400 (1)", "pool of 400 (2)"}
