"""What the tests of `ask` share: score tables of a few blocks, and a plain ranking."""

import numpy as np
import polars as pl

from dataselect.data import tables

NO = -np.inf


def write_scores(folder, matrix, block):
    """A scores table where every row is in every group, in blocks of so many rows."""
    return _write(folder / "dense.parquet", matrix, [None] * len(matrix), block)


def write_single(folder, groups, scores, block):
    """A scores table where every row is in one group."""
    return _write(folder / "single.parquet", scores[:, None], groups.tolist(), block)


def _write(path, matrix, groups, block):
    with tables.open_writer("scores", path) as put:
        for first in range(0, len(matrix), block):
            part = np.ascontiguousarray(matrix[first : first + block], dtype=np.float32)
            rows = range(first, first + len(part))
            put(pl.DataFrame({
                "row": pl.Series(rows, dtype=pl.Int64),
                "id": [f"r{row}" for row in rows],
                "group": pl.Series(groups[first : first + block], dtype=pl.Int64),
                "score": pl.Series(part, dtype=pl.Array(pl.Float32, part.shape[1])),
            }))  # fmt: skip
    return path


def ranked(scores):
    """The candidates' rows, best first; equal scores by row number."""
    order = np.lexsort((np.arange(len(scores)), -scores))
    return [int(row) for row in order if scores[row] > NO]
