"""A mean score, or a difference of two, with its standard error and degrees of freedom.

The variance is that between seeds of each method, plus that between tests, or clusters of tests, of
the difference, less the residual that both contain: `variance`. The tests' part is that of Miller
(arXiv 2411.00640, paired differences); that of the seeds is not in the paper, which
compares models, not methods of training them. A part that comes out below 0 counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dataselect.compare.variance import (
    Layout,
    between_seeds,
    between_units,
    residual,
    satterthwaite,
)

#: A standard error below this share of the largest value is none.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of two, and how sure it is.

    Attributes:
        value: in the scores' own unit.
        seeds: the variance between seeds, less the residual; None where a method has one seed only.
        tests: the variance between tests or clusters, less the residual; None where a task, or all
            subtasks of one, has a single test or cluster.
        residual: the rest of the variance: what differs from seed to seed and test to test.
        dof: degrees of freedom of their sum; None where `tests` is.
    """

    value: float
    seeds: float | None
    tests: float | None
    residual: float
    dof: float | None

    @property
    def stderr(self) -> float | None:
        """The standard error; that of these very models where `seeds` is None."""
        if self.tests is None:
            return None
        return math.sqrt((self.seeds or 0.0) + self.tests + self.residual)


def estimate(samples: Sequence[np.ndarray], layout: Layout, fixed: Sequence[bool]) -> Estimate:
    """The mean of one sample of runs, or the difference of two, with its variance.

    Where one of them has one seed, and is no fixed model, the variance is that between tests alone:
    that of these models.

    Args:
        samples: one or two arrays of values (float64, seeds × n tests).
        fixed: for each, whether it is one fixed model, without seeds.
    """
    means = [values.mean(axis=0) for values in samples]
    mean = means[0] if len(means) == 1 else means[0] - means[1]
    value = float(mean @ layout.weights)
    drawn = [values for values, is_fixed in zip(samples, fixed, strict=True) if not is_fixed]
    one_seed = any(len(values) == 1 for values in drawn)
    if not layout.measurable:
        return Estimate(value, None if one_seed else 0.0, None, 0.0, None)
    units = between_units(mean, layout)
    if one_seed:
        return _rounded(Estimate(value, None, units.variance, 0.0, units.dof), samples)
    seeds = [between_seeds(values, layout) for values in drawn]
    rest = [residual(values, layout) for values in drawn]
    both = sum(part.variance for part in rest)
    between = sum(max(0.0, s.variance - r.variance) for s, r in zip(seeds, rest, strict=True))
    tests = max(0.0, units.variance - both)
    dof = satterthwaite(between + tests + both, [units, *seeds, *rest])
    return _rounded(Estimate(value, between, tests, both, dof), samples)


def _rounded(found: Estimate, samples: Sequence[np.ndarray]) -> Estimate:
    """The estimate, its variance 0 where it is what sums of equal values are off by."""
    largest = max(float(np.abs(values).max()) for values in samples)
    if found.stderr is None or found.stderr > ROUNDING * largest:
        return found
    return replace(found, seeds=None if found.seeds is None else 0.0, tests=0.0, residual=0.0)
