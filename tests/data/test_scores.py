"""Which rows have only finite numbers, for every type of number."""

import numpy as np
import pytest

from dataselect.data.scores import finite_rows


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_with_nan_or_infinite_numbers_are_found(dtype):
    values = np.zeros((6, 2, 3), dtype=dtype)
    values[1, 1, 2], values[2, 0, 0], values[4, 0, 1] = np.nan, np.inf, -np.inf
    values[3], values[5] = np.finfo(dtype).max, -np.finfo(dtype).max
    expected = [True, False, False, True, False, True]
    assert finite_rows({"x": values}, ["x"]).tolist() == expected
    assert finite_rows({"x": values[:, :, ::2]}, ["x"]).tolist() == [*expected[:4], True, True]
    assert finite_rows({"x": values, "y": np.arange(6)}, ["y"]).all()
    assert finite_rows({"x": values}, []).all()


def test_a_row_needs_every_array():
    arrays = {"x": np.float32([np.nan, 1, 1]), "y": np.float16([1, np.inf, 1])}
    assert finite_rows(arrays, ["x", "y"]).tolist() == [False, False, True]
    assert finite_rows(arrays, ["x"]).tolist() == [False, True, True]
