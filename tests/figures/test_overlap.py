"""The Jaccard index of selections."""

import numpy as np
import polars as pl
import pytest

from dataselect.figures import draw
from dataselect.figures.overlap import jaccard
from tests.figures.made_up import marks


def test_by_hand():
    found = jaccard([pl.Series(["a", "b", "c"]), pl.Series(["b", "c", "d"]), pl.Series(["x"])])
    assert np.allclose(found, [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])


def test_empty_selections_share_nothing_with_others_and_are_unknown_among_themselves():
    empty = pl.Series([], dtype=pl.String)
    found = jaccard([empty, pl.Series(["a"]), empty])
    assert np.array_equal(found, [[np.nan, 0, np.nan], [0, 1, 0], [np.nan, 0, np.nan]], True)
    assert np.isnan(jaccard([empty, empty])).all()


def test_cells_are_means_over_pairs_of_seeds(small_pool):
    rows = marks(draw(small_pool, ["overlap"])["overlap"])
    cells = {(row["first"], row["second"]): row["jaccard"] for row in rows}
    assert len(cells) == 9
    ids = {
        method: [
            set(pl.read_parquet(run.out / "selection.parquet")["id"])
            for run in small_pool
            if run.method == method
        ]
        for method in ("random", "rds")
    }

    def index(a, b):
        return len(a & b) / len(a | b)

    pairs = [index(a, b) for a in ids["random"] for b in ids["rds"]]
    assert cells["random", "rds"] == pytest.approx(np.mean(pairs), abs=1e-4)
    assert cells["rds", "rds"] == pytest.approx(index(*ids["rds"]), abs=1e-4)  # two seeds


def test_one_selection_is_left_out(small_pool):
    reasons = {}
    assert not draw(small_pool[:1], ["overlap"], left_out=reasons.__setitem__)
    assert "one selection only" in reasons["overlap"]
