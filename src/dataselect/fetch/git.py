"""Reads single files of git repositories."""

from __future__ import annotations

import os
import subprocess
import tempfile


class GitError(OSError):
    """A git command failed: its last words."""


def is_repository(name: str) -> bool:
    """Whether a source's name is a git repository's address, not a data set's name."""
    return "://" in name


def newest_commit(address: str) -> str:
    """The commit that a repository's main branch is at.

    Raises:
        GitError: the repository cannot be reached.
    """
    return _git("ls-remote", "--exit-code", "--", address, "HEAD").decode().split()[0]


def read_file(address: str, file: str, revision: str) -> bytes:
    """Reads one file of one commit without the history: a partial clone.

    Raises:
        GitError: the repository cannot be reached, or has no such commit or file.
    """
    with tempfile.TemporaryDirectory() as folder:
        in_clone = ("--git-dir", folder)
        _git(*in_clone, "init", "--quiet", "--bare")
        _git(*in_clone, "remote", "add", "--", "origin", address)
        _git(*in_clone, "config", "remote.origin.promisor", "true")
        _git(*in_clone, "config", "remote.origin.partialclonefilter", "blob:none")
        _git(*in_clone, "fetch", "--quiet", "--depth", "1", "--no-tags", "--", "origin", revision)
        return _git(*in_clone, "cat-file", "blob", f"FETCH_HEAD:{file}")


def _git(*arguments: str) -> bytes:
    """What a git command prints."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    done = subprocess.run(["git", *arguments], env=environment, capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["failed"]
        reason = next((line for line in lines if line.startswith("fatal: ")), lines[-1])
        raise GitError(f"git: {reason.removeprefix('fatal: ')}")
    return done.stdout
