"""What a project was made of: the version, and a hash of each file as it came."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dataselect import __version__
from dataselect.errors import InputError

NAME = ".dataselect.json"

#: Files that are the user's from the start; DVC and other programs add to the last three.
USERS = ("params.yaml", ".dvc/config", ".gitignore", ".dvcignore")


@dataclass(frozen=True)
class Manifest:
    """The file `.dataselect.json`.

    Attributes:
        version: of dataselect.
        files: name → a hash of the content that this version brought.
    """

    version: str
    files: dict[str, str]

    def as_bytes(self) -> bytes:
        """The file's content."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


def manifest_of(contents: dict[str, bytes]) -> Manifest:
    """The manifest of a project with these files, but for those that are the user's."""
    hashes = {name: digest(text) for name, text in contents.items() if name not in USERS}
    return Manifest(__version__, hashes)


def digest(content: bytes) -> str:
    """A hash of a file's content: 24 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:24]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a project.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / NAME
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(
            f"{folder}: no {NAME}, which `dataselect init` writes: not a project that it made. "
            "Name the project's folder."
        ) from None
    except (ValueError, TypeError):
        raise InputError(f"{path}: damaged. Take it from git: git checkout {NAME}") from None
