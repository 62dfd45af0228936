"""The order of an epoch's rows."""

import numpy as np

from dataselect.train.order import FilledOrder, order_by_length


def test_an_order_is_filled_up_to_whole_micro_batches():
    orders = {0: [1, 0, 2], 1: [2, 1, 0]}
    epoch = [0]
    filled = FilledOrder(3, orders.__getitem__, 2, lambda: epoch[0])
    assert (len(filled), list(filled)) == (4, [1, 0, 2, 3])
    epoch[0] = 1
    assert list(filled) == [2, 1, 0, 3]
    assert list(FilledOrder(3, orders.__getitem__, 1, lambda: 0)) == [1, 0, 2]


def test_rows_of_like_length_are_in_one_step():
    lengths = np.random.default_rng(0).integers(1, 500, 400)
    rows = list(order_by_length(lengths, 8, seed=3)(0))
    assert sorted(rows) == list(range(400))
    assert lengths[rows[0]] == max(lengths)
    spread = np.ptp(lengths[rows].reshape(50, 8), axis=1)
    assert np.median(spread) < 50  # of random rows some 390


def test_an_epochs_order_depends_on_its_number_and_the_seed_alone():
    lengths = np.arange(1, 41)
    orders = [list(order_by_length(lengths, 4, seed=0)(epoch)) for epoch in range(3)]
    again = order_by_length(lengths, 4, seed=0)
    assert [list(again(epoch)) for epoch in (2, 1)] == [orders[2], orders[1]]
    assert len({tuple(rows) for rows in orders}) == 3
    assert list(order_by_length(lengths, 4, seed=1)(0)) != orders[0]
