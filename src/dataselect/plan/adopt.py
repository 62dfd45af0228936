"""Keeps stored features after a change of code that did not change them: `dataselect adopt embed`.

The hash of the code is a part of what decides a shard's name, so that any change of a feature's
code computes everything anew. Where the change did not alter the numbers, this saves the work: a
few shards are computed again, and if they equal the stored ones, all are kept.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from dataselect import report
from dataselect.compute import no_progress
from dataselect.compute.placement import placed
from dataselect.data import files, shards
from dataselect.data.checkpoints import read_checkpoints
from dataselect.data.examples import content_columns, examples
from dataselect.data.shard_records import is_changed, read_record, write_record
from dataselect.data.shards import Job
from dataselect.data.stored_shards import KEY_FILE
from dataselect.embed.run import EmbedSection, load_feature, shard_key
from dataselect.errors import InputError, first_few
from dataselect.plan.params import read_yaml
from dataselect.plan.run import plan
from dataselect.plan.stored import stored_folders
from dataselect.settings import load_part

#: Shards that are computed again.
CHECKED = 3


@dataclass(frozen=True)
class Adopted:
    """What was done: shards kept, shards that were there already, shards still to be computed."""

    kept: int
    present: int
    missing: int


def adopt(stage: str, tolerance: float, seed: int) -> None:
    """Keeps the features of the plan's method that an earlier version of the code computed.

    Args:
        stage: `embed`, the only stage whose work is stored in shards.
        tolerance: the largest difference of a number that still counts as equal.
        seed: draws the shards that are computed again.

    Raises:
        InputError: nothing is stored, or a shard that was computed again differs.
    """
    if stage != "embed":
        raise InputError(
            f"`{stage}`: only the shards of `embed` can be adopted. Run `dataselect adopt embed`."
        )
    sections = plan(read_yaml("params.yaml"), read_yaml("methods.yaml"))
    with placed(load_part("compute", sections.engine).placement):
        done = adopt_features(sections.embed, Path("out"), tolerance, seed)
    rows = [
        ("shards kept", done.kept),
        ("shards that were there already", done.present),
        ("shards to compute at the next run", done.missing),
    ]
    report.table("Adopted features", rows)


def adopt_features(
    section: EmbedSection, out: Path, tolerance: float, seed: int, rows: int | None = None
) -> Adopted:
    """Links the stored shards of an earlier version of the code under the present one's name.

    Args:
        out: the folder with the pool, the queries and the reference of the present plan.
        rows: rows per shard, on average; None: the feature's own number.

    Raises:
        InputError: see `adopt`.
    """
    if section.features is None:
        raise InputError("params.yaml: method: it has no features, so there is nothing to adopt.")
    needed = [out / "pool.parquet", *([out / "queries.parquet"] if section.queries else [])]
    needed += [out / "reference"] if section.reference else []
    if missing := [path for path in needed if not path.exists()]:
        raise InputError(f"{first_few(missing)} is not there. Run `dvc repro reference` first.")
    key = shard_key(section, out / "reference")
    home = shards.shards_folder(key)
    names = [job.path.name for job in _jobs(section, out, home, rows)]
    stored = max(stored_folders(key), key=lambda folder: _count(names, folder), default=None)
    kept = [name for name in names if stored and _only_in(stored, home, name)]
    present = _count(names, home)
    if not kept and present:
        return Adopted(0, present, len(names) - present)
    if stored is None or not kept:
        raise InputError(
            "no features of this method, model and pool are stored that an earlier version of the "
            "code computed. Run `dvc repro embed`."
        )
    checked = set(random.Random(seed).sample(kept, min(CHECKED, len(kept))))
    jobs = (job for job in _jobs(section, out, home, rows) if job.path.name in checked)
    _compare(section, out, jobs, stored, tolerance)
    for name in kept:
        write_record(home / name, read_record(stored / name), stored / name)
        files.hardlink_or_copy(stored / name, home / name)  # the shard itself last
    if not (home / KEY_FILE).exists():
        files.write_json(home / KEY_FILE, key)
    files.sync(home)
    return Adopted(len(kept), present, len(names) - present - len(kept))


def _jobs(section: EmbedSection, out: Path, home: Path, rows: int | None) -> Iterator[Job]:
    """The shards of all sides, with the rows' ids and messages, one at a time."""
    assert section.features is not None  # `adopt_features` has checked it
    rows = rows or load_part("embed", section.features).rows_per_shard
    for side in ("queries", "pool") if section.queries else ("pool",):
        yield from shards.shard_jobs(home, side, out / f"{side}.parquet", rows)


def _count(names: list[str], folder: Path) -> int:
    return sum((folder / name).exists() for name in names)


def _only_in(stored: Path, home: Path, name: str) -> bool:
    """Whether a shard is stored, whole, and not there. Earlier versions stored no checksums."""
    if not (stored / name).exists() or (home / name).exists():
        return False
    try:
        shards.row_count(stored / name)
    except SafetensorError:
        return False
    return not is_changed(stored / name)


def _compare(
    section: EmbedSection, out: Path, jobs: Iterable[Job], stored: Path, tolerance: float
) -> None:
    """Computes shards again and compares them with the stored ones.

    Raises:
        InputError: a number differs by more than `tolerance`; names the rows.
    """
    checkpoints = read_checkpoints(out / "reference") if section.reference else []
    featurizer = load_feature(section, checkpoints)
    for job in jobs:
        rows = examples(job.block.select(content_columns(job.side, job.block)))
        computed = featurizer(rows, job.side, no_progress)
        before = shards.read_arrays(stored / job.path.name)
        if set(computed) != set(before):
            raise InputError(
                f"the arrays differ: stored {first_few(before)}, computed {first_few(computed)}. "
                "Run `dvc repro embed`: it computes the features again."
            )
        for name, array in computed.items():
            difference = _difference(array, before[name])
            if (wrong := difference > tolerance).any():
                ids = job.block["id"].filter(wrong)
                raise InputError(
                    f"`{name}` differs in {len(ids)} of {len(wrong)} rows of a shard ({job.side}), "
                    f"by {difference.max():.3g} at most: {first_few(ids)}. Run `dvc repro embed`, "
                    "which computes the features again; or, if that difference does not matter, "
                    "set `--tolerance`."
                )


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of every row, the largest difference of a number (float64, b); NaN equals NaN."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return np.full(len(first), np.inf)
    a: Any = first.reshape(len(first), -1).astype(np.float64)
    b: Any = second.reshape(len(second), -1).astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(a - b))
    return np.where(np.isnan(difference), np.inf, difference).max(axis=1, initial=0.0)
