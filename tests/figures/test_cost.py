"""Score against FLOPs and against rows, and pools of several sizes."""

from dataclasses import replace

from benchmarks.made_up_runs import MadeUp

from dataselect.compare.find_runs import named_runs
from dataselect.figures import draw
from dataselect.figures.cost import front, tick_format
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


def test_ticks_close_to_each_other_have_more_digits():
    assert tick_format([2.01e10, 2.02e10]) == ".3~e"
    assert tick_format([1e10, 5e10]) == ".1~e"
    assert tick_format([2e10, 2e10]) == ".2~e"


def test_a_front_that_is_not_drawn_is_not_in_the_caption(runs):
    cheap = [replace(run, cost={"flops": {"tokens": {"total": 4e12}}}) for run in runs[:1]]
    dear = [run for run in runs if run.method == "rds" and run.budget == 900]
    assert "Grey: the Pareto front" in draw([*cheap, *dear], ["cost"])["cost"].caption
    assert "Grey" not in draw([*runs[:1], *dear], ["cost"])["cost"].caption  # of equal costs


def test_a_method_has_one_colour_in_all_figures(runs):
    def colours(figure):
        pairs = (zip(s["domain"], s["range"], strict=True) for s in scales(figure.spec()))
        return dict(pair for scale in pairs for pair in scale)

    without = [replace(run, cost=None) if run.method == "random" else run for run in runs]
    figures = draw(without, ["cost", "budgets"])
    cost, budgets = (colours(figures[name]) for name in ("cost", "budgets"))
    assert set(cost) == {"rds", "longest"}
    assert cost.items() <= budgets.items()


def scales(spec):
    """The scales of colours, anywhere in a chart."""
    if isinstance(spec, list):
        return [scale for item in spec for scale in scales(item)]
    if not isinstance(spec, dict):
        return []
    own = spec.get("color", {})
    found = [own["scale"]] if isinstance(own, dict) and "domain" in own.get("scale", {}) else []
    return found + [scale for item in spec.values() for scale in scales(item)]


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
