"""Writes the files of a project all or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dataselect.data.files import atomic_write
from dataselect.errors import InputError


class Writer:
    """Writes files and folders, and can take all of it back."""

    def __init__(self) -> None:
        self._before: dict[Path, bytes | None] = {}
        self._folders: list[Path] = []

    def make_folder(self, folder: Path) -> None:
        """Makes a folder and those around it, where they are not there."""
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._folders += reversed(missing)

    def claim(self, *folders: Path) -> None:
        """Notes folders that another program is about to make: they are removed with the rest."""
        self._folders += [folder for folder in folders if not folder.exists()]

    def remember(self, *paths: Path) -> None:
        """Notes the present content of files, whoever changes them."""
        for path in paths:
            self._before.setdefault(path, path.read_bytes() if path.exists() else None)

    def write(self, path: Path, content: bytes) -> None:
        """Writes a file."""
        self.make_folder(path.parent)
        self.remember(path)
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)

    def undo(self) -> None:
        """Puts every file back as it was, and removes the folders that were made."""
        for path, content in self._before.items():
            if content is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != content:
                path.write_bytes(content)
        for folder in reversed(self._folders):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def all_or_nothing() -> Generator[Writer]:
    """A writer whose work is taken back if the body fails or is interrupted.

    Raises:
        InputError: the user may not write there.
    """
    writer = Writer()
    try:
        yield writer
    except BaseException as error:
        writer.undo()
        if isinstance(error, PermissionError):
            raise InputError(
                f"{error.filename}: cannot be written: {error.strerror}. Name another folder, or "
                "change its permissions."
            ) from None
        raise
