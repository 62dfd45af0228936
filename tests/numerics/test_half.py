"""Numbers of 16 bits in 32: every one of them, bit by bit as numpy has it."""

import numpy as np
import pytest

from dataselect.numerics import half
from dataselect.numerics.half import to_float32

EVERY = np.arange(65_536, dtype=np.uint16).view(np.float16).reshape(256, 256)


def bits(array):
    return array.view(np.uint32)


@pytest.mark.parametrize("block", [7, 1_000, 65_536])
def test_every_number_is_as_numpy_has_it(block, monkeypatch):
    monkeypatch.setattr(half, "BLOCK", block)
    np.testing.assert_array_equal(bits(to_float32(EVERY)), bits(EVERY.astype(np.float32)))


def test_rows_apart_in_memory_and_transposed_ones_are_converted():
    for array in (EVERY[::3, 1::2], EVERY.T, EVERY.reshape(16, 16, 256), EVERY[:0], EVERY[0, 0]):
        expected = array.astype(np.float32)
        found = to_float32(array)
        assert found.shape == expected.shape
        np.testing.assert_array_equal(bits(found), bits(expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_other_types_keep_their_numbers(dtype):
    array = np.arange(6, dtype=dtype).reshape(2, 3)
    found = to_float32(array)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, array)
