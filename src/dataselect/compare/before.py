"""The model before training as a run of its own: a fixed model, which has no seeds."""

from __future__ import annotations

import polars as pl

from dataselect.compare.find_runs import read_evaluation
from dataselect.compare.recorded import Run
from dataselect.compare.scores import BASE_MODEL
from dataselect.compare.together import Evaluated
from dataselect.errors import InputError


def before_training(
    evaluated: list[Evaluated], required: bool
) -> tuple[Evaluated | None, list[str]]:
    """The scores of the model before training, and what must be known of them.

    Every run may hold them: `out/baseline.parquet`. Those of the first run that has all tests that
    are compared are taken.

    Args:
        evaluated: the runs, on the tests that are compared.
        required: whether they must be there.

    Raises:
        InputError: they are required, and no run has them.
    """
    wanted = evaluated[0].tests.select("task", "id")
    found: list[Evaluated] = []
    other_tests = []
    for run, _ in evaluated:
        if run.baseline is None:
            continue
        tests = read_evaluation(run.name, run.baseline)
        if tests.is_empty():  # switched off with `eval.before`
            continue
        tests = tests.filter(pl.col("value").is_not_null())
        tests = wanted.join(tests, on=["task", "id"], how="inner", maintain_order="left")
        if tests.height < wanted.height:
            other_tests.append(run.name)
            continue
        found.append(Evaluated(Run(run.name, BASE_MODEL, baseline=run.baseline), tests))
    if not found:
        why = "no run has its scores: evaluate one with `eval: {before: true}`"
        if other_tests:
            why = f"of {other_tests[0]} it was scored on other tests than those compared"
        if required:
            raise InputError(f"--baseline '{BASE_MODEL}': {why}.")
        return None, [f"the {BASE_MODEL} is left out: {why}."] if other_tests else []
    values = [tests["value"] for _, tests in found]
    if all(column.equals(values[0]) for column in values):
        return found[0], []
    return found[0], [
        f"the {BASE_MODEL}, before training, was scored more than once, with other results: shown "
        f"are those of {found[0].run.name}."
    ]
