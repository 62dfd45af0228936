"""The map's axes and places: by hand, against scikit-learn, and for shards of any size."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from dataselect.html_report import projection
from dataselect.html_report.projection import draw_map, feature_name, principal_axes


def store(folder, array, parts, name="nll"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.array_split(array, parts)):
        save_file({name: np.ascontiguousarray(part)}, folder / f"{number:05}.safetensors")


@pytest.fixture
def array():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((60, 5)) * [9, 5, 1, 1, 1] + 4).astype(np.float32)


def test_axes_are_scikit_learns_up_to_sign(array, tmp_path):
    from sklearn.decomposition import PCA

    store(tmp_path, array, 3)
    axes = principal_axes(tmp_path, "nll", 2)
    known = PCA(2, svd_solver="full").fit(array.astype(np.float64))
    np.testing.assert_allclose(np.abs(axes.directions), np.abs(known.components_), atol=1e-6)
    np.testing.assert_allclose(axes.shares, known.explained_variance_ratio_, rtol=1e-6)
    largest = np.abs(axes.directions).argmax(axis=1)
    assert (axes.directions[[0, 1], largest] > 0).all()


def test_places_do_not_depend_on_the_shards(array, tmp_path):
    maps = []
    for parts in (1, 7):
        store(tmp_path / str(parts) / "pool", array, parts)
        maps.append(draw_map(tmp_path / str(parts), "nll"))
    np.testing.assert_allclose(maps[0].rows, maps[1].rows, atol=1e-4)
    assert maps[0].queries is None


def test_every_so_manieth_row_decides_the_axes_of_a_large_pool(array, tmp_path, monkeypatch):
    monkeypatch.setattr(projection, "FITTED_ROWS", 20)
    for name, rows in (("all", array), ("some", array[::3])):
        store(tmp_path / name, rows, 7)
    found, known = (principal_axes(tmp_path / name, "nll", 2) for name in ("all", "some"))
    np.testing.assert_allclose(found.directions, known.directions, atol=1e-12)


def test_rows_without_finite_features_have_no_place(array, tmp_path):
    array[3, 2], array[5] = np.nan, 0
    for name in ("vectors", "nll"):
        store(tmp_path / name / "pool", array, 2, name)
        store(tmp_path / name / "queries", array[:4], 1, name)
        found = draw_map(tmp_path / name, name)
        absent = np.flatnonzero(np.isnan(found.rows).any(axis=1)).tolist()
        assert absent == ([3, 5] if name == "vectors" else [3])  # 0 has no angle
        np.testing.assert_array_equal(found.queries, found.rows[:4])


def test_only_the_angle_of_vectors_counts(array, tmp_path):
    for name, scale in (("a", 1), ("b", np.arange(1, 61)[:, None])):
        store(tmp_path / name / "pool", array * np.float32(scale), 2, "vectors")
    found, known = (draw_map(tmp_path / name, "vectors").rows for name in ("a", "b"))
    np.testing.assert_allclose(found, known, atol=1e-5)


def test_wide_features_are_projected_first(tmp_path, monkeypatch):
    monkeypatch.setattr(projection, "WIDEST", 100)
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((2, 400))[np.arange(40) % 2]
    rows = (kinds + 0.1 * rng.standard_normal((40, 400))).astype(np.float32)
    store(tmp_path / "pool", rows.reshape(40, 2, 200), 2, "gradients")
    first = draw_map(tmp_path, "gradients").rows[:, 0]
    assert first[::2].min() > 0 > first[1::2].max() or first[::2].max() < 0 < first[1::2].min()


def test_one_number_a_row_is_nothing_to_draw(array, tmp_path):
    assert feature_name(tmp_path) is None
    store(tmp_path / "pool", array[:, 0], 2)
    assert feature_name(tmp_path) is None
    store(tmp_path / "pool", array, 2)
    assert feature_name(tmp_path) == "nll"
