"""Reads the rows of a task's sources: data sets of a hub or a folder, their files, files in git."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dataselect.errors import InputError
from dataselect.fetch import git
from dataselect.fetch.hub import hub_errors, local_file, newest_commit
from dataselect.tasks import Row, Source

#: The file that names the revisions of tasks' sources.
SETTINGS = "remote/tasks/params.yaml"


def read_source(source: Source, revision: str | None) -> Iterator[Row]:
    """The rows of a source, in order.

    Args:
        revision: a commit, branch or tag of the hub; None: the newest.

    Raises:
        InputError: the data set, its split, its file or the revision does not exist, or it cannot
            be reached or read.
    """
    place = f"{source.name} ({source.file or f'config {source.config}, split {source.split}'})"
    with hub_errors(source.name, f"{place}, revision {revision}", SETTINGS):
        yield from _file_rows(source, revision) if source.file else _split_rows(source, revision)


def check_obtained(source: Source) -> None:
    """Refuses a source that the user must get themselves and that is not there.

    Raises:
        InputError: with how to get it.
    """
    path = Path(source.name) / (source.file or "")
    if source.obtain and not path.exists():
        raise InputError(f"{path}: there is no such file. {source.obtain}")


def commit_of(name: str) -> str | None:
    """The commit that a data set or a git repository is at now; None for a local folder.

    Raises:
        InputError: the hub or the repository cannot be reached, or there is no such data set.
    """
    with hub_errors(name, name, SETTINGS):
        return git.newest_commit(name) if git.is_repository(name) else newest_commit(name)


def _split_rows(source: Source, revision: str | None) -> Iterator[Row]:
    from datasets import load_dataset

    data: Any = load_dataset(
        source.name, source.config, split=source.split, revision=revision, streaming=True
    )
    yield from data


def _file_rows(source: Source, revision: str | None) -> Iterator[Row]:
    """The rows of a JSON, JSON-lines or `.tok` file, which may be packed, and stand in a zip."""
    assert source.file is not None
    with _open(source.name, source.file, revision) as file:
        text = io.TextIOWrapper(file, encoding="utf-8")
        if source.file.endswith(".tok"):
            yield from ({"text": line.rstrip("\n")} for line in text)
        elif ".jsonl" in source.file:
            yield from (json.loads(line) for line in text if line.strip())
        else:
            yield from json.load(text)


@contextmanager
def _open(name: str, file: str, revision: str | None) -> Generator[IO[bytes]]:
    """The bytes of a file, or of a zip's member, unpacked where its name ends with .gz."""
    archive, is_zip, member = file.partition(".zip/")
    outer_name = f"{archive}.zip" if is_zip else archive
    with (
        _open_outer(name, outer_name, revision) as outer_file,
        zipfile.ZipFile(outer_file).open(member) if member else outer_file as packed,
    ):
        if file.endswith(".gz"):
            with gzip.open(packed) as unpacked:
                yield unpacked  # ty: ignore[invalid-yield]
        else:
            yield packed


def _open_outer(name: str, file: str, revision: str | None) -> IO[bytes]:
    if git.is_repository(name):
        return io.BytesIO(git.read_file(name, file, revision or "HEAD"))
    return local_file(name, file, revision).open("rb")
