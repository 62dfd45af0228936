"""Group, score, rank and near misses: by hand, and against sorting everything."""

import numpy as np
import polars as pl
import pytest

from dataselect.ask.standing import Chosen
from dataselect.data import tables
from dataselect.html_report import places
from dataselect.html_report.places import row_places

NONE = Chosen(np.empty(0, np.int64), np.empty(0, np.int64))


def write_scores(path, scores, group=None):
    width = scores.shape[1]
    count = len(scores)
    columns = {"row": range(count), "id": [str(row) for row in range(count)]}
    columns["group"] = pl.Series([None] * count if group is None else group, dtype=pl.Int64)
    columns["score"] = pl.Series(scores, dtype=pl.Array(pl.Float32, width))
    tables.write("scores", pl.DataFrame(columns), path)


def test_by_hand(out):
    chosen = Chosen(np.asarray([0, 1, 3]), np.asarray([0, 0, 1]))
    found = row_places(out / "scores.parquet", 6, 2, chosen)
    assert found.group.tolist() == [0, 0, 0, 1, 1, -1]  # row 2: third in one, fourth in the other
    assert found.rank.tolist() == [2, 1, 3, 1, 2, 0]
    assert found.score[:5].tolist() == [0.5, 0.75, 0.25, 1.0, 0.5]
    assert np.isnan(found.score[5])
    assert [(miss.row, miss.rank) for miss in found.near[0]] == [(2, 3), (4, 4)]
    assert [(miss.row, miss.rank) for miss in found.near[1]] == [(4, 2), (2, 4)]


@pytest.mark.parametrize("held", [1, 700, 2**25])
def test_the_memory_changes_nothing(held, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "HELD", held)
    scores = np.random.default_rng(0).integers(0, 50, (200, 5)).astype(np.float32)
    write_scores(tmp_path / "scores.parquet", scores)
    found = row_places(tmp_path / "scores.parquet", 200, 5, NONE)
    ranks = np.argsort(np.argsort(-scores, axis=0, kind="stable"), axis=0, kind="stable") + 1
    np.testing.assert_array_equal(found.rank, ranks.min(axis=1))
    np.testing.assert_array_equal(found.group, ranks.argmin(axis=1))
    assert [len(misses) for misses in found.near] == [places.NEAR] * 5


def test_rows_of_single_groups(tmp_path):
    scores = np.asarray([[1], [3], [2], [2], [-np.inf]], np.float32)
    write_scores(tmp_path / "scores.parquet", scores, [0, 1, 0, 0, 1])
    found = row_places(tmp_path / "scores.parquet", 5, 3, NONE)
    assert found.group.tolist() == [0, 1, 0, 0, -1]
    assert found.rank.tolist() == [3, 1, 1, 2, 0]
    assert [[miss.row for miss in misses] for misses in found.near] == [[2, 3, 0], [1], []]
