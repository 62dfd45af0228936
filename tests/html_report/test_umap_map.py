"""UMAP: what it is given, and what is said where it is not installed."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from dataselect.errors import InputError
from dataselect.html_report.umap_map import reduce_by_umap


class First:
    """In place of UMAP: the first two numbers of a row."""

    def __init__(self, **settings):
        assert settings["random_state"] == 0
        self.neighbours = settings["n_neighbors"]

    def fit_transform(self, rows):
        assert self.neighbours < len(rows)
        return rows[:, :2]

    transform = fit_transform


def test_rows_without_features_are_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=First))
    rows = np.arange(20, dtype=np.float32).reshape(5, 4)
    rows[1] = np.nan
    placed, queries = reduce_by_umap(rows, rows[:0])
    assert np.isnan(placed[1]).all()
    np.testing.assert_array_equal(placed[[0, 2, 3, 4]], rows[[0, 2, 3, 4], :2])
    assert queries is None


def test_without_the_library_the_message_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match="pip install umap-learn"):
        reduce_by_umap(np.zeros((4, 3)), np.zeros((0, 3)))
