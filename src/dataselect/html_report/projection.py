"""The map: the features of pool and queries in two dimensions, in memory that no pool fills."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataselect.data import shards

#: Rows whose features decide the axes: of more, one in so many.
FITTED_ROWS = 100_000
#: Wider features are first projected at random to so many numbers, which keeps their angles.
WIDEST, PROJECTED = 2_048, 1_024
#: Features that methods compare by their angle: their rows are scaled to length 1.
BY_ANGLE = ("vectors", "gradients")
TINY = 1e-12


class Axes(NamedTuple):
    """The directions in which rows differ most.

    Attributes:
        mean: of the rows: float64, d.
        directions: k d, float64, of length 1; the largest number of each is positive.
        shares: of the variance that each direction has: float64, k.
    """

    mean: np.ndarray
    directions: np.ndarray
    shares: np.ndarray


class Map(NamedTuple):
    """Rows and queries in two dimensions.

    Attributes:
        feature: the name of the stored array.
        rows: float32, n 2; NaN where a row's features are not finite, or all 0.
        queries: likewise, m 2; None where the run stores no such features of queries.
        labels: the names of the two axes.
    """

    feature: str
    rows: np.ndarray
    queries: np.ndarray | None
    labels: tuple[str, str]


def feature_name(folder: Path) -> str | None:
    """The stored array that can be drawn: one with two numbers a row, or more; None without one."""
    paths = shards.shard_paths(folder / "pool")
    if not paths:
        return None
    arrays = shards.read_arrays(paths[0])
    wide = [n for n, a in arrays.items() if a.dtype.kind == "f" and len(a) and a[0].size > 1]
    known = [name for name in BY_ANGLE if name in wide]
    return next(iter([*known, *sorted(wide)]), None)


def draw_map(folder: Path, feature: str, reduce: Callable | None = None) -> Map:
    """Places the rows of a run by the principal components of their features.

    Args:
        folder: the stored features, with `pool` and perhaps `queries` in it.
        feature: the array, see `feature_name`.
        reduce: (rows' coordinates: n k; queries': m k) → both in two dimensions, from the first
            components; None: the first two are the map.
    """
    axes = principal_axes(folder / "pool", feature, 2 if reduce is None else 50)
    rows = _place_all(folder / "pool", feature, axes)
    queries = _place_all(folder / "queries", feature, axes)
    if reduce is not None:
        return Map(feature, *reduce(rows, queries), ("UMAP 1", "UMAP 2"))
    labels = [f"principal component {n}: {s:.0%} of variance" for n, s in enumerate(axes.shares, 1)]
    return Map(feature, rows, queries if len(queries) else None, (labels[0], labels[1]))


def principal_axes(folder: Path, feature: str, count: int) -> Axes:
    """The first principal components of stored features, from sums over the shards.

    Sums are in float64, shard by shard, so no result depends on how many rows are held.

    Args:
        folder: the shards of the pool.
        count: how many components; fewer where the features have fewer numbers.
    """
    from scipy.linalg import eigh

    paths = shards.shard_paths(folder)
    step = -(-sum(map(shards.row_count, paths)) // FITTED_ROWS)
    first, rows, total, products = 0, 0, np.zeros(0), np.zeros((0, 0))
    for path in paths:
        block = _read(path, feature)
        used = block[-first % step :: step].astype(np.float64)
        used = used[np.isfinite(used).all(axis=1)]
        if not total.size:
            total, products = np.zeros(block.shape[1]), np.zeros((block.shape[1],) * 2)
        total, products = total + used.sum(axis=0), products + used.T @ used
        first, rows = first + len(block), rows + len(used)
    mean = total / max(rows, 1)
    covariance = products / max(rows, 1) - np.outer(mean, mean)
    width = len(mean)
    count = min(count, width)
    values, vectors = eigh(covariance, subset_by_index=[width - count, width - 1])
    directions = vectors.T[::-1]
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(count), largest])
    variance = max(float(np.trace(covariance)), TINY)
    return Axes(mean, directions * signs[:, None], values[::-1].clip(min=0) / variance)


def _place_all(folder: Path, feature: str, axes: Axes) -> np.ndarray:
    """The coordinates of all rows of one side (n k, float32); none where it has no such array."""
    count = len(axes.directions)
    parts = [np.empty((0, count), np.float32)]
    for path in shards.shard_paths(folder):
        if feature not in shards.read_arrays(path):
            return parts[0]
        block = _read(path, feature)
        if block.shape[1] != len(axes.mean):
            return parts[0]
        with np.errstate(invalid="ignore"):
            placed = (block - axes.mean.astype(np.float32)) @ axes.directions.T.astype(np.float32)
        parts.append(placed.astype(np.float32))
    return np.concatenate(parts)


def _read(path: Path, feature: str) -> np.ndarray:
    """A shard's features, a flat row each (b d, float32); NaN where they are not finite or 0."""
    array = shards.read_arrays(path, [feature])[feature]
    block = array.reshape(len(array), -1).astype(np.float32)
    block[~np.isfinite(block).all(axis=1)] = np.nan
    if block.shape[1] > WIDEST:
        import torch

        from dataselect.numerics.projection import rademacher

        block = rademacher(torch.from_numpy(block), PROJECTED, seed=0).numpy()
    if feature in BY_ANGLE:
        length = np.linalg.norm(block, axis=1, keepdims=True)
        block = block / np.where(length > TINY, length, np.nan)
    return block
