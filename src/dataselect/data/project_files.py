"""Files of a project, or those that come with the package where the folder is no project."""

from __future__ import annotations

from pathlib import Path

from dataselect.errors import InputError

PACKAGE = Path(__file__).parents[1]

#: Where the package's own files lie: in an installed package, and above an editable one's `src/`.
HOMES = (PACKAGE / "project" / "files", PACKAGE.parents[1])


def project_file(name: str) -> Path:
    """A file or folder at the top of a project, such as `methods.yaml`.

    Args:
        name: its name in the working directory. Where it is not there, the package's own counts.

    Raises:
        InputError: neither is there.
    """
    path = Path(name)
    for candidate in (path, *(home / name for home in HOMES)):
        if candidate.exists():
            return candidate
    raise InputError(
        f"{name}: there is none in {Path.cwd()}, and this installation of dataselect has none of "
        "its own. Run this from a project's folder, or install dataselect again."
    )
