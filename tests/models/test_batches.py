"""Batches: within the budget, padded on the right, smaller where memory runs out."""

import numpy as np
import pytest
import torch

from dataselect.errors import InputError
from dataselect.models.batches import Batches, batches, pad
from dataselect.models.chat import Encoded


def test_batches_hold_every_row_once_within_the_budget():
    lengths = [5, 1, 9, 9, 2, 30, 4]
    groups = batches(lengths, 18)
    assert groups == [[5], [2, 3], [0, 6, 4], [1]]  # 30 is more than the budget: alone
    assert sorted(row for batch in groups for row in batch) == list(range(7))
    assert batches([], 18) == []


def test_the_budget_is_the_devices():
    assert Batches.on("cuda", gpu=8_192).max_padded_tokens == 8_192
    assert Batches.on("cpu", gpu=8_192).max_padded_tokens == 1_024
    assert Batches.on("cpu", gpu=8_192, cpu=512).max_padded_tokens == 512


def limited_work(limit, lengths, error):
    """Work that fails on batches of more than `limit` padded tokens; and the batches it did."""
    done = []

    def work(batch):
        if len(batch) * max(lengths[row] for row in batch) > limit:
            raise error
        done.append(batch)

    return work, done


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
], ids=["gpu", "processor", "python"])  # fmt: skip
def test_batches_are_halved_until_they_fit_and_every_row_is_done_once(error, capsys):
    lengths = [7, 100, 3, 50, 50, 50, 12, 12, 90, 1]
    shrinking = Batches(400)
    work, done = limited_work(120, lengths, error)
    shrinking.run(lengths, work)
    assert sorted(row for batch in done for row in batch) == list(range(10))
    assert shrinking.max_padded_tokens <= 120
    assert "out of memory: continuing with batches of at most" in capsys.readouterr().out
    work, done = limited_work(120, lengths, error)
    shrinking.run(lengths, work)  # the smaller budget stays
    assert sorted(row for batch in done for row in batch) == list(range(10))
    assert capsys.readouterr().out == ""


def test_a_row_that_does_not_fit_is_one_message():
    work, done = limited_work(60, [100, 5], MemoryError())
    with pytest.raises(InputError, match="out of memory on a single row of 100 tokens"):
        Batches(1_000).run([100, 5], work)
    assert done == []


def test_another_error_is_raised_as_it_is():
    work, _ = limited_work(1, [5], RuntimeError("CUDA error: an illegal memory access"))
    with pytest.raises(RuntimeError, match="illegal"):
        Batches(10).run([5], work)


def test_padding_is_on_the_right():
    rows = [
        Encoded(np.array([7, 8, 9], np.int32), np.array([False, True, True])),
        Encoded(np.array([5], np.int32), np.array([False])),
    ]
    ids, response, real = pad(rows)
    assert ids.tolist() == [[7, 8, 9], [5, 0, 0]]
    assert response.tolist() == [[False, True, True], [False, False, False]]
    assert real.tolist() == [[True, True, True], [True, False, False]]
    assert (ids.dtype, response.dtype, real.dtype) == (torch.int64, torch.bool, torch.bool)
