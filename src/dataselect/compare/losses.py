"""The losses of the gold answers, test by test, as scores that can be compared."""

from __future__ import annotations

import polars as pl

from dataselect.compare.scores import RunScores
from dataselect.compare.together import Evaluated
from dataselect.errors import first_few

LOSS = "answer_nll_nats"


def loss_scores(runs: list[Evaluated]) -> tuple[list[RunScores], list[str]]:
    """The runs' losses in nats per token; and, where only some have any, which have none.

    A test has no loss where its answer has no tokens, and where the model's is not a number.
    """
    found, without = [], []
    for run in runs:
        loss = pl.col(LOSS)
        value = pl.when(loss.is_finite()).then(loss)
        tests = run.tests.with_columns(value=value, metric=pl.lit(LOSS))
        if tests["value"].count():
            scores = run.scores()
            found.append(RunScores(scores.method, scores.budget, scores.seed, tests))
        else:
            without.append(run.run.name)
    if not (found and without):
        return found, []
    return found, [f"no loss of {first_few(without)}: the differences of losses leave it out."]
