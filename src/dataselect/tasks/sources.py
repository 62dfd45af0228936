"""Reads the rows of a task's sources: data sets of a hub or a folder, their files, files in git."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tempfile
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
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{place}, revision {revision}: {reason.rstrip('.')}. Check the network, the revision "
            "in remote/tasks/params.yaml and, for a gated data set, the hub's login."
        ) from None


def newest_commit(name: str) -> str | None:
    """The commit that a data set or a git repository is at now; None for a local folder.

    Raises:
        InputError: the hub or the repository cannot be reached, or there is no such data set.
    """
    if Path(name).is_dir():
        return None
    try:
        if _is_repository(name):
            return _git("ls-remote", "--exit-code", "--", name, "HEAD").decode().split()[0]
        from huggingface_hub import HfApi

        return HfApi().dataset_info(name).sha
    except (OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{name}: {reason}. Check the network and the name.") from None


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
    name = f"{archive}.zip" if is_zip else archive
    with (
        tempfile.TemporaryDirectory() as folder,
        _open(_local_path(source.name, name, revision, folder), member, source.file) as file,
    ):
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


def _local_path(name: str, file: str, revision: str | None, folder: str) -> Path:
    """A file of a source on this machine; what comes from a git repository is put into `folder`."""
    if Path(name).is_dir():
        return Path(name) / file
    if _is_repository(name):
        return _from_repository(name, file, revision or "HEAD", Path(folder))
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(name, file, repo_type="dataset", revision=revision))


def _is_repository(name: str) -> bool:
    return "://" in name


def _from_repository(address: str, file: str, revision: str, folder: Path) -> Path:
    """Fetches one file of one commit, not the whole history: a partial clone."""
    in_clone = ("--git-dir", str(folder / "clone.git"))
    _git(*in_clone, "init", "--quiet", "--bare")
    _git(*in_clone, "remote", "add", "--", "origin", address)
    _git(*in_clone, "config", "remote.origin.promisor", "true")
    _git(*in_clone, "config", "remote.origin.partialclonefilter", "blob:none")
    _git(*in_clone, "fetch", "--quiet", "--depth", "1", "--no-tags", "--", "origin", revision)
    path = folder / Path(file).name
    path.write_bytes(_git(*in_clone, "cat-file", "blob", f"FETCH_HEAD:{file}"))
    return path


def _git(*arguments: str) -> bytes:
    """What a git command prints; an OSError with its last words where it fails."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    done = subprocess.run(["git", *arguments], env=environment, capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["failed"]
        raise OSError(f"git: {words[-1].removeprefix('fatal: ')}")
    return done.stdout
