"""Reads the rows of a task's sources: data sets of a hub, their files, or local folders."""

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
from dataselect.tasks import Row, Source


def read_source(source: Source, revision: str | None) -> Iterator[Row]:
    """The rows of a source, in order.

    Args:
        revision: a commit, branch or tag of the hub; None: the newest.

    Raises:
        InputError: the data set, its split, its file or the revision does not exist, or it cannot
            be reached or read.
    """
    place = f"{source.name} ({source.file or f'config {source.config}, split {source.split}'})"
    try:
        yield from _file_rows(source, revision) if source.file else _split_rows(source, revision)
    except Exception as error:  # of any type: the hub's libraries raise their HTTP library's
        raise InputError(f"{place}, revision {revision}: {_reason(error)}") from None


def newest_commit(name: str) -> str | None:
    """The commit that a data set of the hub is at now; None for a local folder.

    Raises:
        InputError: the hub cannot be reached, or has no such data set.
    """
    if Path(name).is_dir():
        return None
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(name).sha
    except Exception as error:  # of any type, as above
        raise InputError(f"{name}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What an error of the hub's libraries means, and what to do."""
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub import errors

    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, errors.GatedRepoError) or "gated dataset" in text:
        return (
            "the data set is gated. Ask for access on its page at the hub; then log in (`hf auth "
            "login`), or set HF_TOKEN."
        )
    lacks_revision = isinstance(error, DatasetNotFoundError) and text.startswith("Revision ")
    if isinstance(error, errors.RevisionNotFoundError) or lacks_revision:
        return "there is no such revision. Fix `revisions` in remote/tasks/params.yaml."
    if isinstance(error, errors.RepositoryNotFoundError | DatasetNotFoundError):
        return "the hub has no such data set, or it is private. Check the name and the hub's login."
    if isinstance(error, errors.LocalEntryNotFoundError | ConnectionError) or not isinstance(
        error, OSError | ValueError | LookupError | zipfile.BadZipFile
    ):
        found = f"{type(error).__name__}: {text:.200}"
        return f"the hub cannot be reached, or its answer not be read ({found}). Check the network."
    return f"{text:.300}. Check `revisions` in remote/tasks/params.yaml, and the files."


def _split_rows(source: Source, revision: str | None) -> Iterator[Row]:
    from datasets import load_dataset

    data: Any = load_dataset(
        source.name, source.config, split=source.split, revision=revision, streaming=True
    )
    yield from data


def _file_rows(source: Source, revision: str | None) -> Iterator[Row]:
    """The rows of a JSON or JSON-lines file, which may be packed, and stand in a zip."""
    assert source.file is not None
    archive, is_zip, member = source.file.partition(".zip/")
    path = _local_path(source.name, f"{archive}.zip" if is_zip else archive, revision)
    with _open(path, member, source.file) as file:
        text = io.TextIOWrapper(file, encoding="utf-8")
        if ".jsonl" in source.file:
            yield from (json.loads(line) for line in text if line.strip())
        else:
            yield from json.load(text)


@contextmanager
def _open(path: Path, member: str, name: str) -> Generator[IO[bytes]]:
    """The bytes of a file, or of a zip's member, unpacked where its name ends with .gz."""
    with zipfile.ZipFile(path).open(member) if member else path.open("rb") as packed:
        if name.endswith(".gz"):
            with gzip.open(packed) as file:
                yield file  # ty: ignore[invalid-yield]
        else:
            yield packed


def _local_path(name: str, file: str, revision: str | None) -> Path:
    if Path(name).is_dir():
        return Path(name) / file
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(name, file, repo_type="dataset", revision=revision))
