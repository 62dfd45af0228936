"""Leaves out rows that nearly repeat another: candidates by MinHash, compared exactly."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from dataselect import report
from dataselect.dedup.minhash import BandFiles, group_equal
from dataselect.dedup.pool import NearDuplicateCounts, RawPool
from dataselect.dedup.sequence_sets import SequenceSets
from dataselect.dedup.sequences import word_sequences
from dataselect.dedup.settings import NearDuplicateSettings
from dataselect.dedup.similar_rows import Buckets, SimilarRows

REASON = "near-duplicate"

#: Rows whose words are held at a time: the words of long rows take ten times their text.
_ROWS_TOGETHER = 2_048

#: Rows that are left out together: each time, the pool's places are read once.
_DROPPED_TOGETHER = 200_000


def drop_near_duplicates(
    pool: RawPool, settings: NearDuplicateSettings, folder: Path
) -> NearDuplicateCounts:
    """Finds groups of near-duplicates, and leaves out all but the first row of each.

    Two rows are near-duplicates if the sets of their sequences of five words have a Jaccard
    similarity of at least `similarity`; groups are the connected components. Pairs are compared
    exactly, so none is found that is none. At least 99 % of the pairs at that similarity are
    compared, more of the closer ones: see `minhash.band_shape`, and `similar_rows` for large
    groups. Order of the pool, blocks and threads change nothing but which row is first. Memory
    holds some 40 bytes a row.

    Args:
        folder: where temporary files may lie: 180 bytes a row at similarity 0.8, and 8 bytes a
            word of the rows that are compared.

    Raises:
        InputError: the library that computes MinHash is not installed.
    """
    with (
        report.spinner("finding near-duplicates"),
        tempfile.TemporaryDirectory(dir=folder, prefix="near-") as scratch,
    ):
        sets, similar = _group(pool, settings.similarity, Path(scratch))
        first_rows = similar.first_rows(np.arange(int(pool.kept.sum())))
        repeated = np.flatnonzero(first_rows != np.arange(len(first_rows)))
        if settings.action == "drop":
            _drop(pool, repeated, first_rows[repeated], sets, settings.similarity)
    groups = len(np.unique(first_rows[repeated]))
    return NearDuplicateCounts(len(repeated), groups, similar.limited, settings.action == "drop")


def _group(pool: RawPool, similarity: float, folder: Path) -> tuple[SequenceSets, SimilarRows]:
    """The groups; rows are numbered among those that the pool still keeps."""
    bands = BandFiles(folder, similarity)
    for _, messages in _conversations(pool):
        bands.add(word_sequences(messages))
    sets = _candidate_sets(pool, bands, folder)
    similar = SimilarRows(sets, similarity)
    for rows, starts in bands.buckets(bands.bands):
        similar.join_equal(Buckets(rows, starts))
    everything = np.arange(len(sets.sizes))
    distinct = similar.first_rows(everything) == everything
    for band in range(bands.bands):
        for rows, starts in bands.buckets(band):
            bucket = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[distinct[rows]]
            rows = rows[distinct[rows]]
            # In an order that does not depend on the pool's.
            order = np.lexsort((bands.signatures(rows), bucket))
            similar.join_similar(Buckets(*group_equal(bucket[order], rows[order])))
    return sets, similar


def _candidate_sets(pool: RawPool, bands: BandFiles, folder: Path) -> SequenceSets:
    """The sets of the rows that share a band with another."""
    shares_band = np.zeros(int(pool.kept.sum()), dtype=bool)
    for band in range(bands.bands):
        for rows, _ in bands.buckets(band):
            shares_band[rows] = True
    sets = SequenceSets(folder / "sets", len(shares_band))
    for first, messages in _conversations(pool):
        chosen = np.flatnonzero(shares_band[first : first + len(messages)])
        sets.add(first + chosen, word_sequences(messages[chosen]))
    return sets


def _conversations(pool: RawPool) -> Iterator[tuple[int, pl.Series]]:
    """The kept conversations, some at a time, each time after the number of the first."""
    first = 0
    for _, rows in pool.blocks(["messages", "tool_use"]):
        for part in rows.iter_slices(_ROWS_TOGETHER):
            yield first, _with_tool_use(part)
            first += part.height


def _with_tool_use(rows: pl.DataFrame) -> pl.Series:
    """The rows' messages; where tools are called, with a turn more that holds the calls.

    The tools that a row may call do not count: whole sets share one list of them.
    """
    if not rows["tool_use"].count():
        return rows["messages"]
    calls = pl.col("tool_use").str.json_path_match("$.turns")
    turn = pl.struct(role=pl.lit("tool"), content=calls.fill_null(""))
    with_turn = pl.col("messages").list.concat(pl.concat_list(turn))
    used = pl.col("tool_use").is_not_null()
    return rows.select(pl.when(used).then(with_turn).otherwise("messages").alias("messages"))[
        "messages"
    ]


def _drop(
    pool: RawPool,
    repeated: np.ndarray,
    stay: np.ndarray,
    sets: SequenceSets,
    similarity: float,
) -> None:
    """Leaves rows out, each with the row that stays and how similar they are."""
    names, numbers = _names(pool, stay), np.flatnonzero(pool.kept)
    found = np.concatenate([[0.0], *_similarities(sets, np.stack([repeated, stay], axis=1))])[1:]
    for first in range(0, len(repeated), _DROPPED_TOGETHER):
        part = slice(first, first + _DROPPED_TOGETHER)
        details = [
            _detail(names[row], value, similarity)
            for row, value in zip(stay[part].tolist(), found[part].tolist(), strict=True)
        ]
        pool.drop(numbers[repeated[part]], REASON, details)


def _detail(name: str, value: float, similarity: float) -> str:
    rounded_down = math.floor(value * 100 + 1e-9) / 100  # 0.999 is not 1
    through = "" if value >= similarity else ", through other rows"
    return f"`{name}` (similarity {rounded_down:.2f}{through})"


def _similarities(sets: SequenceSets, pairs: np.ndarray) -> Iterator[np.ndarray]:
    for portion in sets.portions(pairs):
        yield sets.jaccard(pairs[portion])


def _names(pool: RawPool, rows: np.ndarray) -> dict[int, str]:
    """The ids of some of the rows that are kept."""
    names, first, wanted = {}, 0, np.unique(rows)
    for _, block in pool.blocks(["id"]):
        within = wanted[slice(*np.searchsorted(wanted, [first, first + block.height]))]
        names.update(zip(within.tolist(), block["id"][within - first].to_list(), strict=True))
        first += block.height
    return names
