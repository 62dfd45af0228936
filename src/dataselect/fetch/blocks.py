"""The rows of a data set in blocks, from any block on."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dataselect.errors import InputError, first_few
from dataselect.fetch.hub import local_file

#: How the files of a zip are read, by the end of their names.
READERS = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json"}


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set to fetch.

    Attributes:
        name: a hub name, a local folder of a hub's form, or a builder (`json`, `parquet`) with
            `data_files`.
        config: of the data set; null: its default.
        split: of the data set.
        revision: a commit, branch or tag of the hub; null: the newest commit.
        data_files: only these files or patterns. With a builder they may be addresses in a bucket
            (`s3://…`) where its file system is installed. A file in a zip is written as
            `data.zip/rows.jsonl`; the end of its path is enough.
    """

    name: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    data_files: str | list[str] | None = None


class Block(NamedTuple):
    """A block of rows: a pyarrow table, and the state from which the next one can be read."""

    rows: Any
    state: dict[str, Any]


class Stream:
    """The rows of a data set at a commit; nothing but heads of files is read to open it.

    Args:
        commit: of the hub; None for a local folder or a builder.

    Attributes:
        key: what decides the rows: names, the commit, or the files' times or tags.

    Raises:
        OSError, ValueError, …: whatever hub and readers raise, see `hub.hub_errors`.
        InputError: a file is not in its zip.
    """

    def __init__(self, data_set: DataSet, commit: str | None) -> None:
        import datasets
        from datasets import load_dataset_builder

        given = data_set.data_files
        files = [given] if isinstance(given, str) else given
        self.key: list[Any] = [data_set.name, data_set.config, data_set.split, commit, files]
        if files and any(".zip/" in file for file in files):
            paths, tags, reader = _in_zips(data_set.name, files, commit)
            named: Any = {data_set.split: paths}
            builder = load_dataset_builder(reader, data_files=named)
        else:
            named = {data_set.split: files} if files else None
            builder = load_dataset_builder(
                data_set.name, data_set.config, revision=commit, data_files=named
            )
            found = (builder.config.data_files or {}).get(data_set.split)
            tags = getattr(found, "origin_metadata", [])
        self.key += [[list(map(str, tag)) for tag in tags], datasets.__version__]
        # A shard for each row group, where files have some: so little is read again after a kill.
        data: Any = builder.as_streaming_dataset(split=data_set.split)
        self._data = data.reshard()

    def blocks(self, rows: int, state: dict[str, Any] | None) -> Iterator[Block]:
        """Blocks of so many rows, the last one of fewer; after the block whose state is given."""
        data = self._data.with_format("arrow")
        if state:
            data.load_state_dict(state)
        for table in data.iter(rows):
            yield Block(table, data.state_dict())


def _in_zips(
    name: str, files: list[str], commit: str | None
) -> tuple[list[str], list[tuple[Any, ...]], str]:
    """The addresses of files in zips, what tells their versions apart, and how they are read."""
    paths, tags = [], []
    for file in files:
        archive, is_zip, end = file.partition(".zip/")
        if not is_zip:
            raise InputError(f"data_files: `{file}` is in no zip, others are. Fetch them apart.")
        path = local_file(name, f"{archive}.zip", commit)
        paths.append(f"zip://{_member(path, end)}::{path}")
        stat = path.stat()
        tags.append((commit,) if commit else (stat.st_size, stat.st_mtime_ns))
    kinds = {READERS.get(Path(file.removesuffix(".gz")).suffix) for file in files}
    reader = kinds.pop()
    if reader is None or kinds:
        raise InputError(
            f"data_files: expected files of one kind ({', '.join(READERS)}), found "
            f"{first_few(files)}. Fetch them apart."
        )
    return paths, tags, reader


def _member(path: Path, end: str) -> str:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    found = [name for name in names if name == end or name.endswith(f"/{end}")]
    if len(found) != 1:
        raise InputError(
            f"data_files: {len(found)} files in {path.name} are called `{end}`, expected one. "
            f"There are: {first_few(names, 20)}."
        )
    return found[0]
