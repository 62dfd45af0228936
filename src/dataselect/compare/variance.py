"""The variance of a mean score, or of a difference of two: between seeds and between tests.

A value y[s, i] of seed s and test i is mean + seed + test + what only both together explain, the
*residual*. The variance of the mean over seeds and tests is that of the seeds' means, plus that of
the tests' means, less the residual, which both of these contain: crossed random effects (Searle,
Casella and McCulloch, Variance Components, 1992, chapter 4). With clusters of tests it is the
two-way estimator of Cameron, Gelbach and Miller (2011, J. Bus. Econ. Stat. 29).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl


class Part(NamedTuple):
    """A part of a variance.

    Attributes:
        variance: of the mean.
        dof: degrees of freedom of this estimate.
    """

    variance: float
    dof: float


@dataclass(frozen=True)
class Layout:
    """How n tests become one score, Σ weights · values, and which of them vary together.

    A unit is a cluster of tests, or a test by itself. A stratum is what a mean is taken over before
    strata are averaged: a task, or a subtask. Strata are fixed; units are a sample of others.

    Attributes:
        weights: float64, n; their sum is 1.
        strata: int64, n: each test's stratum, from 0.
        units: int64, n: each test's unit, from 0.
        cells: int64, n: the part of a unit that lies in a stratum, from 0; as a rule the unit.
        shares: float64, by cell: of its stratum's weight.
        strata_of_cells, units_of_cells: int64, by cell.
    """

    weights: np.ndarray
    strata: np.ndarray
    units: np.ndarray
    cells: np.ndarray
    shares: np.ndarray
    strata_of_cells: np.ndarray
    units_of_cells: np.ndarray

    @classmethod
    def make(cls, weights: np.ndarray, strata: np.ndarray, units: np.ndarray) -> Layout:
        """The layout of tests with these weights, strata and units, both numbered from 0."""
        pairs, cells = np.unique(strata * (units.max() + 1) + units, return_inverse=True)
        of_cells, units_of_cells = np.divmod(pairs, units.max() + 1)
        shares = np.bincount(cells, weights) / np.bincount(strata, weights)[of_cells]
        return cls(weights, strata, units, cells, shares, of_cells, units_of_cells)

    @classmethod
    def of_task(cls, ids: pl.Series, subtasks: pl.Series, clusters: pl.Series) -> Layout:
        """The layout of a task's score as `eval.summary` has it: the mean of its subtasks' means.

        Args:
            ids: of the n tests.
            subtasks: of the tests; those without one are a subtask of their own.
            clusters: of the tests; one without is a unit by itself.
        """
        strata = _codes(subtasks)
        counts = np.bincount(strata)
        weights = 1 / counts[strata] / len(counts)
        named = pl.when(clusters.is_null()).then(pl.lit("id ") + ids)
        names = pl.select(named.otherwise(pl.lit("cluster ") + clusters)).to_series()
        units = _codes(names)
        return cls.make(weights, _merged_singles(strata, units), units)

    @classmethod
    def mean_over(cls, layouts: list[Layout]) -> Layout:
        """The layout of the mean over tasks; their tests, one task after the other."""
        weights = np.concatenate([layout.weights for layout in layouts]) / len(layouts)
        strata = _one_after_another([layout.strata for layout in layouts])
        return cls.make(weights, strata, _one_after_another([layout.units for layout in layouts]))

    @property
    def unit_count(self) -> int:
        """How many units there are."""
        return int(self.units.max()) + 1

    @property
    def measurable(self) -> bool:
        """Whether every stratum has two units or more, without which their variance is unknown."""
        return bool((self.shares < 1).all())


def _codes(names: pl.Series) -> np.ndarray:
    """A number for each different name, null among them, from 0."""
    ranks = names.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    return ranks - ranks.min()


def _one_after_another(codes: list[np.ndarray]) -> np.ndarray:
    """Several tasks' numbers as one array in which no two tasks share a number."""
    counts = [int(numbers.max()) + 1 for numbers in codes]
    firsts = np.cumsum([0, *counts[:-1]])
    return np.concatenate([part + first for part, first in zip(codes, firsts, strict=True)])


def _merged_singles(strata: np.ndarray, units: np.ndarray) -> np.ndarray:
    """The strata, those with one unit as one: alone, nothing is known of their variance.

    Their units are then compared with their common mean ("collapsed strata", Cochran, Sampling
    Techniques, 1977, section 5A.12), which takes the variance to be too large, never too small.
    """
    pairs = np.unique(strata * (units.max() + 1) + units)
    counts = np.bincount(pairs // (units.max() + 1))
    single = counts == 1
    if not single.any():
        return strata
    if single.sum() == 1 and len(counts) > 1:  # one alone joins the smallest other
        single[np.where(single, counts.max() + 1, counts).argmin()] = True
    merged = np.where(single, -1, np.arange(len(counts)))[strata]
    return np.unique(merged, return_inverse=True)[1].reshape(-1)


def between_units(values: np.ndarray, layout: Layout) -> Part:
    """The variance of Σ weights · values over other units of the same strata.

    A unit's sum of deviations from its stratum's mean, squared and divided by 1 − its share: of
    units of equal weights, the square of the standard error, s² / n. Bell and McCaffrey (2002,
    Survey Methodology 28), CR2; clustered errors as in Miller (arXiv 2411.00640).

    Args:
        values: float64, n.
    """
    sums = _unit_sums(values[None], layout)
    cells, units = sums[0][0], sums[1][0]
    return Part(float(units @ units), _units_dof(cells**2, layout))


def _unit_sums(values: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sums of deviations from the strata's means: rows × cells, rows × units."""
    weight = np.bincount(layout.strata, layout.weights)
    cells = []
    for row in values:
        means = np.bincount(layout.strata, layout.weights * row) / weight
        deviations = layout.weights * (row - means[layout.strata])
        cells.append(np.bincount(layout.cells, deviations) / np.sqrt(1 - layout.shares))
    units = [np.bincount(layout.units_of_cells, row) for row in cells]
    return np.array(cells), np.array(units)


def _units_dof(squares: np.ndarray, layout: Layout) -> float:
    """Degrees of freedom: of a stratum by Bell and McCaffrey, of their sum by Satterthwaite.

    A stratum's are those of CR2 where tests are independent and cells' shares p differ, which is
    the number of units less 1 where they are equal.
    """
    p, strata = layout.shares, layout.strata_of_cells
    x = p**2 / (1 - p)
    off_diagonal = np.bincount(strata, x) ** 2 - np.bincount(strata, x**2)
    dof = 1 / (np.bincount(strata, p**2) + off_diagonal)
    variances = np.bincount(strata, squares)
    return satterthwaite(
        variances.sum(), [Part(*part) for part in zip(variances, dof, strict=True)]
    )


def between_seeds(values: np.ndarray, layout: Layout) -> Part:
    """The variance of the mean over S seeds: the variance of their scores / S.

    Args:
        values: float64, S × n; S is at least 2.
    """
    scores = values @ layout.weights
    return Part(float(scores.var(ddof=1)) / len(scores), len(scores) - 1)


def residual(values: np.ndarray, layout: Layout) -> Part:
    """The part of the mean's variance that neither seeds nor units explain, but both contain.

    Args:
        values: float64, S × n; S is at least 2.
    """
    seeds = len(values)
    cells, units = _unit_sums(values - values.mean(axis=0), layout)
    dof = _units_dof((cells**2).sum(axis=0), layout) * (seeds - 1)
    return Part(float((units**2).sum()) / (seeds * (seeds - 1)), dof)


def satterthwaite(total: float, parts: list[Part]) -> float:
    """Degrees of freedom of a variance that is a sum, or a difference, of mean squares.

    total² / Σ (part² / its degrees of freedom), never below the smallest of the parts' (Welch 1947,
    Biometrika 34; Satterthwaite 1946, Biometrics Bulletin 2).
    """
    smallest = min(part.dof for part in parts)
    squares = sum(part.variance**2 / part.dof for part in parts)
    return max(smallest, total**2 / squares) if squares else smallest
