"""Everything that `dataselect compare` says: a row for each method and task, differences, text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dataselect.compare.before import before_training
from dataselect.compare.find_runs import read_evaluation
from dataselect.compare.losses import loss_scores
from dataselect.compare.recorded import Run
from dataselect.compare.rows import Row, contaminated_tasks, score_rows
from dataselect.compare.scores import BASE_MODEL, RunScores, condition_name
from dataselect.compare.sentences import NATS, notes, sentences
from dataselect.compare.statistics import Difference, compare
from dataselect.compare.together import (
    Evaluated,
    check_repeats,
    of_one_model,
    on_same_tests,
    without_copies,
)
from dataselect.errors import InputError, first_few

#: The method that others are compared with where none is named.
USUAL_BASELINE = "random"


@dataclass(frozen=True)
class Comparison:
    """What is found of runs.

    Attributes:
        rows: by task as in the tests, the mean over tasks last; the model before training, where
            it was scored, and the methods as given.
        differences: method minus baseline, in the same order; none where there is one method.
        shown, not_shown: sentences on the differences, of losses too.
        notes: what must be known to read them.
        loss_differences: those of the loss, in nats per token; none where no test has a loss.
    """

    rows: list[Row]
    differences: list[Difference]
    shown: list[str]
    not_shown: list[str]
    notes: list[str]
    loss_differences: list[Difference] = field(default_factory=list)


def compare_runs(
    runs: Sequence[Run],
    baseline: str | None = None,
    *,
    shared: bool = False,
    model: str | None = None,
    per_task: bool = False,
) -> Comparison:
    """Compares runs that can be compared, test by test.

    Args:
        baseline: a method, or `BASE_MODEL`; None: `random` where there is such a run, else the
            first.
        shared: whether tests that only some runs have are left out, instead of refused.
        model: the base model whose runs are compared; None where there is only one.
        per_task: every task, not only the mean over them.

    Raises:
        InputError: the runs cannot be compared; there is none; an unknown baseline.
    """
    complete = [run for run in runs if not run.problem]
    usable = sorted_runs(without_copies(of_one_model(complete, model)))
    if not usable:
        raise _nothing_to_compare(runs)
    remarks = [*_left_out(runs), *check_repeats(usable)]
    read = [Evaluated(r, read_evaluation(r.name, r.evaluation)) for r in usable if r.evaluation]
    _check_scored(read)
    evaluated, about_tests = on_same_tests(read, shared)
    base, about_base = before_training(evaluated, required=baseline == BASE_MODEL)
    trained = evaluated
    if base is not None:
        evaluated = [base, *evaluated]
    compared = evaluated if baseline == BASE_MODEL else trained
    differences, losses, about_differences = _all_differences(compared, baseline)
    if base is not None and not differences:
        about_differences.append(
            f"--baseline '{BASE_MODEL}' compares with the model before training."
        )
    remarks += [*about_tests, *about_base, *about_differences, *contaminated_tasks(usable)]
    rows = score_rows(evaluated)
    if not per_task:
        last = rows[-1].task
        rows = [row for row in rows if row.task == last]
        differences = [d for d in differences if d.task == last]
        losses = [d for d in losses if d.task == losses[-1].task]
    scores = {(row.task, row.condition): row.score for row in rows}
    texts = [*sentences(differences, scores), *sentences(losses, {}, NATS)]
    shown = [text for is_shown, text in texts if is_shown]
    not_shown = [text for is_shown, text in texts if not is_shown]
    return Comparison(rows, differences, shown, not_shown, remarks, losses)


def _nothing_to_compare(runs: Sequence[Run]) -> InputError:
    why = "; ".join(f"{first_few(names, 3)}: {problem}" for problem, names in _problems(runs)[:3])
    return InputError(f"no run to compare. {why or 'None was named'}.")


def sorted_runs(runs: list[Run]) -> list[Run]:
    """The runs by method, as they were given, then by budget and seed."""
    methods = list(dict.fromkeys(run.method for run in runs))

    def place(run: Run) -> tuple[int, bool, int, str, int]:
        rows = run.budget if isinstance(run.budget, int) else 0
        return methods.index(run.method), rows == 0, rows, str(run.budget), run.seed or 0

    return sorted(runs, key=place)


def _left_out(runs: Sequence[Run]) -> list[str]:
    return [
        f"{first_few(names)} {'is' if len(names) == 1 else 'are'} left out: {problem}."
        for problem, names in _problems(runs)
    ]


def _problems(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Why runs cannot be compared, each reason once, and which runs these are."""
    found: dict[str, list[str]] = {}
    for run in runs:
        if run.problem:
            found.setdefault(run.problem, []).append(run.name)
    return list(found.items())


def _check_scored(runs: list[Evaluated]) -> None:
    if empty := [run.run.name for run in runs if not run.tests["value"].count()]:
        raise InputError(
            f"{first_few(empty)}: no test has a score. Give the runs tests, and a judge where "
            "their tasks need one, or leave them out."
        )


def _all_differences(
    runs: list[Evaluated], baseline: str | None
) -> tuple[list[Difference], list[Difference], list[str]]:
    """The differences of scores and of losses, and what must be known of them."""
    scores = [run.scores() for run in runs]
    methods = list(dict.fromkeys(run.method for run in scores))
    if baseline is None:
        baseline = USUAL_BASELINE if USUAL_BASELINE in methods else methods[0]
    if methods == [baseline]:
        several = len({run.budget for run in scores}) > 1
        about = ", and budgets of one method are not compared" if several else ""
        return [], [], [f"nothing is compared: all runs are of {baseline}{about}."]
    matched, remarks = _with_the_baselines_budgets(scores, baseline)
    differences = compare(matched, baseline)
    losses, about_losses = loss_scores(runs)
    losses, _ = _with_the_baselines_budgets(losses, baseline)
    with_loss = {run.method for run in losses}
    by_loss = []
    if baseline in with_loss and len(with_loss) > 1:
        by_loss = compare(losses, baseline, mismatch="shared")
    remarks += [*notes(differences), *about_losses]
    remarks += [f"losses: {n}" for n in notes(by_loss) if n not in remarks]
    return differences, by_loss, remarks


def _with_the_baselines_budgets(
    runs: list[RunScores], baseline: str
) -> tuple[list[RunScores], list[str]]:
    """The runs that the baseline has one to compare with, and a note on every other method."""
    budgets = {run.budget for run in runs if run.method == baseline}
    if len(budgets) < 2:
        return runs, []
    names = {condition_name(run.condition): None for run in runs if run.budget not in budgets}
    remarks = [f"{name} is not compared: {baseline} has no run at that budget." for name in names]
    return [run for run in runs if run.budget in budgets], remarks
