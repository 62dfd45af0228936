"""What the tests of several aggregators share."""

import numpy as np

from tests.helpers import columns

NO = -np.inf


def matrix(rows):
    return np.asarray(rows, dtype=np.float32)


def pick(aggregator, scores, n, block=2):
    """What an aggregator picks of a matrix, read in blocks."""
    blocks = [scores[i : i + block] for i in range(0, len(scores), block)]
    return aggregator(lambda: blocks, columns(scores.shape[1]), n)
