"""Iterates: ahead of what is worked on, and by the block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """The same items, the next of which is always being made in a thread.

    Pays where making one waits for a disk, or computes without Python's lock. Holds one more.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(next, source, end)
        while (item := waiting.result()) is not end:
            waiting = thread.submit(next, source, end)
            yield item  # ty: ignore[invalid-yield]


def batched(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most so many of what comes, in order."""
    rows = iter(rows)
    while block := list(islice(rows, size)):
        yield block
