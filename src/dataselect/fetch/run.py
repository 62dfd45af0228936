"""Fetches a data set into one Parquet file, a part at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from dataselect.data.files import content_key, scratch_folder
from dataselect.errors import InputError
from dataselect.fetch.blocks import DataSet, Stream
from dataselect.fetch.hub import hub_errors, newest_commit
from dataselect.fetch.parts import Parts
from dataselect.report import Progress

#: What is held in memory, is read again after a kill at most, and is a row group of the file.
ROWS_PER_PART = 20_000


@dataclass(frozen=True)
class Fetched:
    """What was fetched: the number of rows, and the commit of the hub that they are of."""

    rows: int
    commit: str | None


def fetch(data_set: DataSet, out: Path, settings: str, progress: Progress) -> Fetched:
    """Streams a data set into one Parquet file, whole or not at all; columns stay as they are.

    Rows arrive in part files in the scratch folder. After a kill it goes on behind the last of
    them, if the data set is still at the same commit, and the file has the same bytes as without.

    Args:
        settings: the file that names the data set, for messages.
        progress: called with the number of rows of every part, also of those found finished.

    Raises:
        InputError: the data set, the split, the revision or a file does not exist, is gated or
            cannot be reached; its files' columns differ; it has no rows; or another process
            fetches it.
    """
    where = f"{data_set.name} (config {data_set.config}, split {data_set.split})"
    home = scratch_folder() / "fetch" / out.stem
    home.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(home.with_suffix(".lock"), timeout=0)
        with lock, hub_errors(data_set.name, where, settings):
            commit = newest_commit(data_set.name, data_set.revision)
            rows = _fetch(Stream(data_set, commit), home, out, progress)
    except Timeout:
        raise InputError(f"{where}: another process fetches it. Wait for it, or end it.") from None
    if rows == 0:
        raise InputError(f"{where}: it has no rows. Set another `split` in {settings}.")
    return Fetched(rows, commit)


def _fetch(stream: Stream, home: Path, out: Path, progress: Progress) -> int:
    parts = Parts(home / content_key(stream.key, ROWS_PER_PART))
    rows, state = parts.progress()
    progress(rows)
    if not parts.complete:
        for block in stream.blocks(ROWS_PER_PART, state):
            parts.add(*block)
            rows += block.rows.num_rows
            progress(block.rows.num_rows)
        parts.finish()
    if rows:
        parts.join(out)
    parts.remove()
    return rows
