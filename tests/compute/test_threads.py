"""A map over threads: results in the items' order, products on one thread each."""

import threading

import pytest
from threadpoolctl import threadpool_info

from dataselect.compute.threads import thread_map


@pytest.mark.parametrize("count", ["1", "3"])
def test_results_come_in_the_order_of_the_items(count, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", count)
    first_waits = threading.Event()

    def work(item):
        if item == 0 and count != "1":
            assert first_waits.wait(60)  # until a later one is done, in another thread
        first_waits.set()
        return item * item

    with thread_map() as each:
        assert list(each(work, range(20))) == [item * item for item in range(20)]


def test_a_product_in_a_thread_uses_no_other_thread():
    def most(_):
        return max(library["num_threads"] for library in threadpool_info())

    with thread_map() as each:
        assert set(each(most, range(4))) == {1}


def test_an_error_in_a_thread_ends_the_map():
    def work(item):
        if item == 3:
            raise ValueError("the third")
        return item

    with pytest.raises(ValueError, match="the third"), thread_map() as each:
        list(each(work, range(200)))
