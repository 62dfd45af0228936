"""Checks the statistics that compare methods on simulated scores with known effects.

    python benchmarks/comparisons.py

How often is a difference found where there is none (false alarms, at 5 %), and how often one of the
size that is stated as detectable? Beside it, on the same scores: two-way resampling; and the
unpaired z test of two runs' standard errors, as lm-eval's scripts/model_comparator.py has it
(EleutherAI/lm-evaluation-harness@1c62da1), on the first seed of each method.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from measuring import save_result, timed
from simulated import Case, draw, effect_for, layout_of

from dataselect.compare.estimate import Estimate, estimate
from dataselect.compare.intervals import clopper_pearson, minimum_detectable, t_p_value
from dataselect.compare.resampling import resampled_interval
from dataselect.compare.variance import Layout, Part, between_units, satterthwaite
from dataselect.numerics.draws import derived_seed

REPEATS, RESAMPLED, RESAMPLES = 3_000, 500, 400
ALPHA, Z = 0.05, 1.959964
SEEDS = (2, 3, 5)


def main() -> None:
    """Measures every case; `--small` few repeats of the first ones, and saves nothing."""
    small = "--small" in sys.argv
    repeats, resampled = (100, 10) if small else (REPEATS, RESAMPLED)
    clock: dict[str, Any] = {}
    with timed(clock), ProcessPoolExecutor(2) as workers:
        work = partial(measure, repeats=repeats, resampled=resampled)
        runs = list(workers.map(work, cases()[:3] if small else cases()))
    for run in runs:
        print(run)  # noqa: T201
    if not small:
        settings = {"repeats": REPEATS, "resampled_repeats": RESAMPLED, "resamples": RESAMPLES}
        save_result("comparisons", {**settings, "seconds": clock["seconds"], "runs": runs})


def cases() -> list[Case]:
    """Seeds × clusters × outcomes × how much seeds matter; then cases of other kinds."""
    main_cases = [
        Case(seeds=(n, n), seed_sd=(sd, sd), cluster=cluster, binary=binary)
        for n in SEEDS
        for cluster in (1, 5)
        for binary in (True, False)
        for sd in (0.0, 0.1, 0.2)
    ]
    vary = (0.1, 0.1)
    name = "one method's seeds vary, the other's do not"
    return [
        *main_cases,
        *(Case(f"{n} tests, 1 seed", tests=n, seeds=(1, 1)) for n in (30, 100)),
        *(Case(f"{n} tests", tests=n, seed_sd=(0.2, 0.2)) for n in (30, 100)),
        Case("most outcomes are 1", easy=3.0, seed_sd=vary),
        Case("clusters of 1 to 39", cluster=20, unequal=True, seed_sd=vary),
        Case("subtasks of 10, 50 and 440", subtasks=(1, 5, 44), seed_sd=vary),
        Case("6 tasks, a seed acts on each", tests=200, tasks=6, shared=0.0, seed_sd=vary),
        Case("6 tasks, a seed acts on all", tests=200, tasks=6, shared=1.0, seed_sd=vary),
        Case("2 seeds against 5", seeds=(2, 5), seed_sd=vary),
        *(Case(name, (n, n), (0.3, 0.0), binary=False) for n in SEEDS),
    ]


def measure(case: Case, repeats: int, resampled: int) -> dict[str, Any]:
    """False alarms of each way, and how often a difference of the stated size is found."""
    nothing = simulate(case, repeats, resampled)
    bounds = clopper_pearson(round(nothing["found"] * repeats), repeats)
    effect = effect_for(case, nothing["stated"])
    found = None
    if effect is not None:
        found = simulate(case, repeats // 2, 0, effect)["found"]
    return {
        "case": asdict(case),
        "false_alarms": nothing.pop("found"),
        "false_alarms_95": [round(bound, 4) for bound in bounds],
        **nothing,
        "found_at_stated": found,
    }


def simulate(case: Case, repeats: int, resampled: int, effect: float = 0.0) -> dict[str, Any]:
    """How often each way finds a difference.

    Args:
        resampled: in how many of the repeats the interval of resampling is computed.
        effect: what is added to the first method's scores.
    """
    rng = np.random.default_rng(derived_seed(0, f"comparisons {case} {effect}"))
    task, plain = layout_of(case), layout_of(case, clustered=False)
    layout = Layout.mean_over([task] * case.tasks)
    found, unpaired, summed, missed, sizes, parts = [], [], [], [], [], []
    for number in range(repeats):
        methods = draw(case, effect, rng)
        samples = [np.concatenate(values, axis=1) for values in methods]
        value = estimate(samples, layout, (False, False))
        found.append(_p_value(value) < ALPHA)
        unpaired.append(_unpaired_z(methods, plain) > Z)
        if case.tasks > 1:
            summed.append(_summed_p_value(methods, task) < ALPHA)
        if value.stderr and value.dof:
            sizes.append(minimum_detectable(value.stderr, value.dof))
        parts.append((value.seeds or 0.0, (value.tests or 0.0) + value.residual))
        if number < resampled:
            low, high = resampled_interval(samples[0], samples[1], layout, number, RESAMPLES)
            missed.append(not low <= 0 <= high)
    seeds, tests = np.mean(parts, axis=0)
    return {
        "found": _share(found),
        "resampled": _share(missed),
        "unpaired": _share(unpaired),
        "summed_over_tasks": _share(summed),
        "stated": round(float(np.mean(sizes)), 5),
        "seeds_over_tests": round(float(seeds / tests), 2),
    }


def _share(outcomes: list[bool]) -> float | None:
    return round(float(np.mean(outcomes)), 5) if outcomes else None


def _p_value(value: Estimate) -> float:
    return t_p_value(value.value, value.stderr, value.dof) if value.stderr and value.dof else 1.0


def _unpaired_z(methods: tuple[list[np.ndarray], list[np.ndarray]], layout: Layout) -> float:
    """|z| of two runs' means, each with the standard error of its own tests."""
    runs = [[values[0] for values in tasks] for tasks in methods]
    means = [np.mean([run @ layout.weights for run in tasks]) for tasks in runs]
    variance = sum(between_units(run, layout).variance for tasks in runs for run in tasks)
    return float(abs(means[0] - means[1]) / np.sqrt(variance) * len(runs[0]))


def _summed_p_value(methods: tuple[list[np.ndarray], list[np.ndarray]], layout: Layout) -> float:
    """p where also the variance between seeds of the mean over tasks is Σ variance / T²."""
    values = [
        estimate(pair, layout, (False, False)) for pair in zip(*methods, strict=True)
    ]  # one for each task
    total = sum((v.stderr or 0.0) ** 2 for v in values)
    dof = satterthwaite(total, [Part((v.stderr or 0.0) ** 2, v.dof or 1.0) for v in values])
    mean = sum(v.value for v in values) / len(values)
    return t_p_value(mean, float(np.sqrt(total)) / len(values), dof)


if __name__ == "__main__":
    main()
