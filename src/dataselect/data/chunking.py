"""Where shards begin and end: after certain rows, not after certain counts."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import polars as pl

#: A shard has at least an eighth of `rows`, at most four times as many; on average about `rows`.
SMALLEST, LARGEST = 8, 4


def chunks(blocks: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Cuts a table into shards of about `rows` rows, whose ends depend on the rows' ids alone.

    So rows that are added or lost change the shard that they are in, and perhaps the next; after
    the first end that both pools share, all shards are as they were. (Shards of equal counts would
    all shift.) An id ends a shard if its CRC-32 is a multiple of `rows`.

    Args:
        blocks: the table, in blocks of any size, with a column `id`.

    Source: content-defined chunking, as in LBFS (Muthitacharoen et al., 2001).
    """
    kept: list[pl.DataFrame] = []
    count = 0
    for block in blocks:
        start = 0
        for end, name in enumerate(block["id"], 1):
            count += 1
            if _ends(name, count, rows):
                yield pl.concat([*kept, block[start:end]])
                kept, count, start = [], 0, end
        if start < block.height:
            kept.append(block[start:])
    if kept:
        yield pl.concat(kept)


def _ends(name: str, count: int, rows: int) -> bool:
    if count < max(1, rows // SMALLEST):
        return False
    return count >= LARGEST * rows or zlib.crc32(name.encode("utf-8", "surrogatepass")) % rows == 0
