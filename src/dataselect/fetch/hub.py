"""Asks a hub for a data set's commit or one of its files; makes messages of its errors."""

from __future__ import annotations

import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

from dataselect import report
from dataselect.errors import LOG_IN, InputError, disk_is_full, without_secrets
from dataselect.fetch.git import GitError


def print_commit(name: str, revision: str | None, commit: str | None, settings: str) -> None:
    """Prints the commit that was fetched, and how to keep to it; or that a folder was read.

    Args:
        revision: what was asked for; None: the newest.
        commit: None: it has none, as a folder.
        settings: what takes the revision, such as a key of a file.
    """
    if Path(name).is_dir():
        report.console.print(f"{name} was read from the folder of that name, not from the hub.")
    if commit and revision != commit:
        report.console.print(
            f"{name} is at commit {commit}. To keep to it, write that into {settings}."
        )


def newest_commit(name: str, revision: str | None = None) -> str | None:
    """The commit that a data set of the hub is at; None for a local folder, or a format's name.

    Args:
        revision: a branch, tag or commit; None: the main branch.

    Raises:
        OSError, ValueError: the hub cannot be reached, or has no such data set or revision.
    """
    if Path(name).is_dir() or "/" not in name:  # `json` and the like
        return None
    from huggingface_hub import HfApi

    return HfApi().dataset_info(name, revision=revision).sha


def local_file(name: str, file: str, revision: str | None) -> Path:
    """A file of a data set on this machine; one of the hub is downloaded to its cache.

    A download that was killed goes on where it ended.
    """
    if Path(name).is_dir():
        return Path(name) / file
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(name, file, repo_type="dataset", revision=revision))


@contextmanager
def hub_errors(name: str, where: str, settings: str) -> Generator[None]:
    """Turns errors of the hub, the network and the readers of files into an `InputError`.

    Args:
        name: of the data set.
        where: what is being read, for the message.
        settings: the file that names it, for the message.

    Raises:
        InputError: any of those errors, with what to do. A full disk is not among them.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, InputError) or disk_is_full(error) or not _is_expected(error):
            raise
        advice = _advice(error, name, settings)
        raise InputError(f"{where}: {_reason(error)}. {advice}") from None


def _is_expected(error: Exception) -> bool:
    """Whether a data set, a file or the network can be the cause, rather than our code."""
    from datasets.exceptions import DatasetsError

    texts = ("Couldn't cast", "Dataset scripts")  # a TypeError and a RuntimeError of the library
    damaged = (EOFError, BadZipFile, zlib.error)
    kinds = (OSError, ValueError, KeyError, *damaged, DatasetsError)
    return isinstance(error, kinds) or _is_http(error) or str(error).startswith(texts)


def _is_http(error: Exception) -> bool:
    """Whether an error is of the HTTP client, which is httpx or httpx2, as the hub's library is."""
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2")


def _advice(error: Exception, name: str, settings: str) -> str:
    """What to do about an error, by its kind."""
    from datasets.table import CastError
    from huggingface_hub import errors
    from pyarrow import ArrowInvalid

    text = str(error)
    if isinstance(error, GitError):
        return f"Check the network, and the revision in {settings}."
    if isinstance(error, errors.GatedRepoError) or "gated dataset" in text:
        page = f"https://huggingface.co/datasets/{name}"
        return f"Accept its terms on {page}; {LOG_IN}."
    lacks_revision = "Invalid rev" in text or text.startswith("Revision ")
    if isinstance(error, errors.RevisionNotFoundError) or lacks_revision:
        return f"Set `revision` in {settings} to a commit, branch or tag that the data set has."
    if isinstance(error, errors.RepositoryNotFoundError) or "doesn't exist on the Hub" in text:
        return f"Check the name in {settings}; for a private data set, {LOG_IN}."
    unreachable = (ConnectionError, TimeoutError, errors.HfHubHTTPError)
    unreachable += (errors.LocalEntryNotFoundError,)  # what was not fetched before
    if isinstance(error, unreachable) or _is_http(error):
        return "Check the network and run it again: it continues from what was fetched."
    if "split" in text:
        return f"Set another `split` in {settings}."
    if isinstance(error, ArrowInvalid | CastError) or text.startswith("Couldn't cast"):
        return (
            f"Its files have other columns or types: fetch them apart (`data_files`, {settings})."
        )
    return f"Fix {settings}."


def _reason(error: Exception) -> str:
    """An error as one line, at most 300 characters, without tokens."""
    from datasets.table import CastError

    text = error.details() if isinstance(error, CastError) else str(error)
    line = without_secrets(" ".join(text.split())) or type(error).__name__  # before the cut
    if len(line) > 300:
        line = line[:299] + "…"
    return line.rstrip(". ")
