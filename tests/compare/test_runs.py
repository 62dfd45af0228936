"""The table and the plot of a run's scores, beside those before training."""

from dataselect import report
from dataselect.compare.runs import per_task, show, with_overlaps
from dataselect.data.contamination import TaskOverlap


def scores(value):
    return {"score": value, "score_stderr": 0.1, "answer_nll_nats": 2 * value}


AFTER = {"tasks": {"a": scores(0.5), "b": scores(0.75)}, "mean": scores(0.625)}
BEFORE = {"tasks": {"a": scores(0.0), "b": scores(0.25)}, "mean": scores(0.125)}


def shown(monkeypatch, *summaries):
    """The rows and the header that `show` prints."""
    printed = []
    monkeypatch.setattr(report, "table", lambda title, *rest: printed.extend(rest))
    show(*summaries)
    return printed


def test_the_table_has_the_scores_after_and_before(monkeypatch):
    rows, header = shown(monkeypatch, AFTER, BEFORE)
    assert len(header) == len(rows[0])
    assert rows == [
        ("a", 0.5, 0.1, 0.0, 1.0, 0.0),
        ("b", 0.75, 0.1, 0.25, 1.5, 0.5),
        ("mean over tasks", 0.625, 0.1, 0.125, 1.25, 0.25),
    ]


def test_without_a_baseline_its_columns_are_empty(monkeypatch):
    rows, _ = shown(monkeypatch, AFTER, None)
    assert rows[0] == ("a", 0.5, 0.1, None, 1.0, None)
    assert per_task(AFTER, None) == per_task(AFTER, BEFORE)[:3]


def test_the_plot_has_a_bar_per_task_and_their_mean():
    assert per_task(AFTER, BEFORE) == [
        {"task": "a", "score": 0.5, "of": "trained"},
        {"task": "b", "score": 0.75, "of": "trained"},
        {"task": "mean", "score": 0.625, "of": "trained"},
        {"task": "a", "score": 0.0, "of": "before"},
        {"task": "b", "score": 0.25, "of": "before"},
        {"task": "mean", "score": 0.125, "of": "before"},
    ]


def test_contaminated_tasks_and_the_mean_over_them_are_marked(monkeypatch, capsys):
    monkeypatch.setattr(report.console, "width", 500)
    overlaps = [TaskOverlap("a", 40, 1, 9), TaskOverlap("b", 50, 1, 2)]  # 2 % is not more than 2 %
    after = with_overlaps(AFTER, overlaps)
    assert after["tasks"]["a"] == {
        **AFTER["tasks"]["a"],
        "contamination": {"tests": 40, "overlapping_tests": 1, "rows": 9, "contaminated": True},
    }
    assert after["tasks"]["b"]["contamination"]["contaminated"] is False
    assert with_overlaps(AFTER, []) == AFTER
    rows, _ = shown(monkeypatch, after, BEFORE)
    assert [row[0] for row in rows] == ["a *", "b", "mean over tasks *"]
    assert [row[3] for row in rows] == [0.0, 0.25, 0.125]
    assert capsys.readouterr().out == (
        "* contaminated: rows that the model was trained on overlap its tests: a (1 of 40 tests). "
        "Such a score says little of other questions. To leave such rows out, set `decontaminate: "
        "{action: drop}` in params.yaml.\n"
    )
    assert after["mean"]["contaminated_tasks"] == 1


def test_a_task_without_a_judge_has_no_score_and_the_mean_leaves_it_out(monkeypatch, capsys):
    monkeypatch.setattr(report.console, "width", 500)
    without = {**scores(1.0), "score": None, "score_stderr": None}
    not_judged = {**without, "tests": 9, "judgements": {"judged": 0}}
    after = {**AFTER, "tasks": {**AFTER["tasks"], "open": not_judged}}
    before = {**BEFORE, "tasks": {**BEFORE["tasks"], "open": without}}
    rows, _ = shown(monkeypatch, after, before)
    assert rows[2][:4] == ("open", "not judged", None, None)
    assert (
        "not judged, and left out of the mean: open. Set `eval: {judge: " in capsys.readouterr().out
    )
    assert {row["task"] for row in per_task(after, before)} == {"a", "b", "mean"}


def test_tests_that_the_judge_did_not_decide_are_counted(monkeypatch, capsys):
    monkeypatch.setattr(report.console, "width", 500)
    judged = {**scores(0.5), "tests": 1_000, "judgements": {"judged": 998}}
    shown(monkeypatch, {**AFTER, "tasks": {"open": judged}}, None)
    assert "open: the score is of 998 of 1,000 tests" in capsys.readouterr().out
