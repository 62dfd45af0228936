"""Made-up scores of two methods with known effects, for `comparisons.py` and the tests.

score = test + method × test + seed + noise; in some cases tests come in clusters, which add cluster
+ method × cluster. A binary outcome is 1 where the score is above 0. Both methods have the same
distribution but for `effect`, so that without one there is exactly no difference between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dataselect.compare.variance import Layout

#: Standard deviations: of tests, method × test, cluster, method × cluster, and noise.
TEST, BY_TEST, CLUSTER, BY_CLUSTER, NOISE = 1.0, 0.5, 0.5, 0.3, 1.0


@dataclass(frozen=True)
class Case:
    """What is simulated.

    Attributes:
        name: what the case is about.
        seeds: of the first method and of the second.
        seed_sd: standard deviation of the seeds' effects, of each method.
        tests: of each task.
        tasks: how many.
        cluster: tests in a cluster, on average; 1: none.
        unequal: whether clusters have 1, 2, 3 … tests.
        binary: whether outcomes are 0 or 1.
        subtasks: sizes of subtasks relative to each other; the score is the mean of their means.
        shared: the share of a seed's variance that is the same in all tasks.
        easy: added to all scores, so that most binary outcomes are 1.
    """

    name: str = "main"
    seeds: tuple[int, int] = (3, 3)
    seed_sd: tuple[float, float] = (0.0, 0.0)
    tests: int = 500
    tasks: int = 1
    cluster: int = 1
    unequal: bool = False
    binary: bool = True
    subtasks: tuple[int, ...] = (1,)
    shared: float = 1.0
    easy: float = 0.0


def clusters_of(case: Case) -> np.ndarray:
    """The cluster of every test of a task (int64, n), from 0."""
    if not case.unequal:
        return np.arange(case.tests) // case.cluster
    sizes = np.arange(1, 2 * case.cluster)  # their mean is `cluster`
    names = np.repeat(np.arange(case.tests), np.resize(sizes, case.tests))
    return names[: case.tests]


def layout_of(case: Case, clustered: bool = True) -> Layout:
    """The layout of one task's tests; as if they were independent where not `clustered`."""
    ends = np.cumsum(case.subtasks) / sum(case.subtasks) * case.tests
    strata = np.searchsorted(ends, np.arange(case.tests), side="right")
    counts = np.bincount(strata)
    units = clusters_of(case) if clustered else np.arange(case.tests)
    return Layout.make(1 / counts[strata] / len(counts), strata, units)


def draw(
    case: Case, effect: float, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The values of both methods, an array (seeds × tests) for each task."""
    clusters = clusters_of(case)
    is_clustered = float(case.cluster > 1)
    own, common = math.sqrt(1 - case.shared), math.sqrt(case.shared)
    seed_effects = [
        sd * common * rng.standard_normal(count)
        for sd, count in zip(case.seed_sd, case.seeds, strict=True)
    ]
    methods: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for _ in range(case.tasks):
        base = case.easy + TEST * rng.standard_normal(case.tests)
        base += is_clustered * CLUSTER * rng.standard_normal(case.tests)[clusters]
        for number, values in enumerate(methods):
            count, sd = case.seeds[number], case.seed_sd[number]
            of_tests = base + BY_TEST * rng.standard_normal(case.tests)
            of_tests += is_clustered * BY_CLUSTER * rng.standard_normal(case.tests)[clusters]
            of_seeds = seed_effects[number] + sd * own * rng.standard_normal(count)
            score = of_tests + of_seeds[:, None] + NOISE * rng.standard_normal((count, case.tests))
            score += effect if number == 0 else 0.0
            values.append((score > 0).astype(float) if case.binary else score)
    return methods


def effect_for(case: Case, difference: float) -> float | None:
    """What must be added to the first method's scores to make this difference of their means.

    None where no binary outcomes can differ so much.
    """
    from scipy.special import ndtr, ndtri

    if not case.binary:
        return difference
    variance = TEST**2 + BY_TEST**2 + NOISE**2 + case.seed_sd[0] ** 2
    if case.cluster > 1:
        variance += CLUSTER**2 + BY_CLUSTER**2
    sd = math.sqrt(variance)
    wanted = float(ndtr(case.easy / sd)) + difference
    return sd * float(ndtri(wanted)) - case.easy if wanted < 1 else None
