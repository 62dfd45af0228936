"""K-means with the same result for the same rows, on any number of cores."""

from __future__ import annotations

import numpy as np


def kmeans(vectors: np.ndarray, clusters: int, seed: int, iterations: int = 20) -> np.ndarray:
    """The cluster (int64, n) of every row (n d) by Lloyd's algorithm from k-means++ seeds.

    The seeds depend on the rows' order: pass rows in an order that does not depend on the pool's.
    Where there are no more rows than clusters, every row is a cluster of its own.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    if len(vectors) <= clusters:
        return np.arange(len(vectors))
    fit = KMeans(clusters, n_init=1, max_iter=iterations, tol=0.0, random_state=seed)
    # Several threads add up their parts in any order: other last bits, other clusters.
    with threadpool_limits(1):
        return fit.fit_predict(vectors.astype(np.float32)).astype(np.int64)
