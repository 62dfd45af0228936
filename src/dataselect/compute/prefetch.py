"""Iterators: the next item made in a thread, and lists of a fixed size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """The same items; a thread makes the next one while the current one is used.

    It pays where making an item waits for a disk or releases the GIL. Holds one item more.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(next, source, end)
        while (item := pending.result()) is not end:
            pending = thread.submit(next, source, end)
            yield item  # ty: ignore[invalid-yield]


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` consecutive items; the last may be shorter."""
    items = iter(items)
    while block := list(islice(items, size)):
        yield block
