"""Two-way resampling of seeds and tests: beside the intervals of `statistics`, for comparison only.

With few seeds it is too narrow: of S seeds, resampling has the variance (S − 1) / S of theirs. See
docs/compare.md for how often it finds a difference where there is none.
"""

from __future__ import annotations

import numpy as np

from dataselect.compare.intervals import Interval
from dataselect.compare.variance import Layout

#: Resamples that are computed at a time, so that memory does not grow with their number.
BLOCK = 100


def resampled_interval(
    first: np.ndarray,
    second: np.ndarray,
    layout: Layout,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """The percentile interval of the difference, drawing seeds of each method and units anew.

    Units are drawn within their strata, the same for both methods. "The pigeonhole bootstrap" of
    Owen (2007, Annals of Applied Statistics 1).

    Args:
        first, second: values (float64, seeds × n tests).
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    differences = []
    for start in range(0, resamples, BLOCK):
        weights = _drawn_weights(rng, layout, min(BLOCK, resamples - start))
        means = [_drawn_means(rng, values, weights) for values in (first, second)]
        differences.append(means[0] - means[1])
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(differences), [tail, 1 - tail])
    return float(low), float(high)


def _drawn_weights(rng: np.random.Generator, layout: Layout, count: int) -> np.ndarray:
    """The weight of every test in each of `count` draws (float64, count × n)."""
    drawn = np.empty((count, len(layout.cells)))
    for stratum in range(int(layout.strata.max()) + 1):
        cells = np.flatnonzero(layout.strata_of_cells == stratum)
        times = _times_drawn(rng, len(cells), count)
        members = np.flatnonzero(layout.strata == stratum)
        weights = layout.weights[members] * times[:, np.searchsorted(cells, layout.cells[members])]
        total = layout.weights[members].sum()
        drawn[:, members] = weights / weights.sum(axis=1, keepdims=True) * total
    return drawn


def _drawn_means(rng: np.random.Generator, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean score of a draw of seeds with the drawn weights, for each draw."""
    times = _times_drawn(rng, len(values), len(weights)) / len(values)
    return ((weights @ values.T) * times).sum(axis=1)


def _times_drawn(rng: np.random.Generator, items: int, count: int) -> np.ndarray:
    """How often each item is in `count` draws of as many with replacement: count × items."""
    drawn = rng.integers(items, size=(count, items)) + items * np.arange(count)[:, None]
    return np.bincount(drawn.reshape(-1), minlength=count * items).reshape(count, items)
