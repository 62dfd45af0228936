"""Intervals, p-values, Holm's correction, and the smallest difference that would be found."""

from __future__ import annotations

import math

import numpy as np

Interval = tuple[float, float]


def t_interval(estimate: float, stderr: float, dof: float, level: float = 0.95) -> Interval:
    """The interval of Student's t around an estimate."""
    from scipy.special import stdtrit

    half = float(stdtrit(dof, (1 + level) / 2)) * stderr
    return estimate - half, estimate + half


def t_p_value(estimate: float, stderr: float, dof: float) -> float:
    """The probability of an estimate as far from 0 or farther, on either side, if 0 were true."""
    from scipy.special import stdtr

    return float(2 * stdtr(dof, -abs(estimate) / stderr))


def minimum_detectable(stderr: float, dof: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that a two-sided t test at `alpha` finds with probability `power`.

    Of the noncentral t distribution; with many degrees of freedom (z of 1 − alpha / 2 + z of power)
    · stderr, as in Miller (arXiv 2411.00640) and Bloom (1995, Evaluation Review 19). With few, an
    estimated standard error is too small on average, and is divided by what corrects for that
    (Cureton 1968, The American Statistician 22).
    """
    from scipy.special import gammaln, nctdtrinc, stdtrit

    bias = math.sqrt(2 / dof) * math.exp(gammaln((dof + 1) / 2) - gammaln(dof / 2))
    return float(nctdtrinc(dof, 1 - power, stdtrit(dof, 1 - alpha / 2))) * stderr / bias


def holm(p_values: list[float]) -> list[float]:
    """p-values, in the same order, that a family's error rate may be read from.

    Holm (1979, Scandinavian Journal of Statistics 6): the k-th smallest of m, times m − k + 1; none
    smaller than one before it, none above 1.
    """
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, float)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return [float(p) for p in adjusted]


def wilson(share: float, tests: float, level: float = 0.95) -> Interval:
    """The interval of a share of right answers among tests, also few and also for 0 or 1.

    Wilson (1927, J. Am. Stat. Assoc. 22); Miller's normal interval (arXiv 2411.00640) leaves the
    range from 0 to 1 where tests are few.

    Args:
        tests: their number; where they vary together or there are several seeds, the number of
            independent tests that would have the same standard error.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + level) / 2))
    middle = (share + z**2 / (2 * tests)) / (1 + z**2 / tests)
    half = math.sqrt(share * (1 - share) / tests + (z / (2 * tests)) ** 2) * z / (1 + z**2 / tests)
    return max(0.0, middle - half), min(1.0, middle + half)


def clopper_pearson(successes: int, tests: int, level: float = 0.95) -> Interval:
    """The exact interval of a share: it holds the true one with probability `level` or more.

    Clopper and Pearson (1934, Biometrika 26).
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = betaincinv(successes, tests - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, tests - successes, 1 - tail) if successes < tests else 1.0
    return float(low), float(high)
