"""K-means: clusters that are plain to see, and the same ones each time."""

import numpy as np

from dataselect.numerics.kmeans import kmeans


def test_rows_that_lie_apart_are_clusters():
    centres = np.asarray([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    of_row = np.asarray([0, 1, 2] * 10)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(30, 2))
    found = kmeans(centres[of_row] + noise, 3, seed=0)
    assert found.dtype == np.int64
    assert len({(a, b) for a, b in zip(of_row, found, strict=True)}) == 3
    again = kmeans(centres[of_row] + noise, 3, seed=0)
    assert found.tolist() == again.tolist()


def test_no_more_rows_than_clusters_are_a_cluster_each():
    assert kmeans(np.zeros((3, 2)), 100, 0).tolist() == [0, 1, 2]
    assert kmeans(np.zeros((3, 2)), 3, 0).tolist() == [0, 1, 2]
