"""The folders of the runs that a question is about."""

from __future__ import annotations

from pathlib import Path

from dataselect.ask.views import STORED_VIEWS, file_name
from dataselect.errors import InputError

#: The outputs of the run in the project's folder.
OUT = Path("out")


def run_folders(given: list[str]) -> dict[str, Path]:
    """The folders of the outputs, by the names of the runs.

    What else may name a run, such as a DVC experiment, is to become a folder here and only here.

    Args:
        given: `NAME=FOLDER` for every run; a folder of outputs, or a project's with `out/` in it.
            None: the run in this folder.

    Raises:
        InputError: a name is missing or comes twice, or a folder has no outputs.
    """
    if not given:
        return {OUT.name: OUT}
    runs: dict[str, Path] = {}
    for run in given:
        name, equals, folder = run.partition("=")
        if not (name and equals and folder):
            raise InputError(f"--run {run}: expected NAME=FOLDER. Write --run {run or 'NAME'}=…")
        if name in runs:
            raise InputError(f"--run {run}: another run is called `{name}`. Change one name.")
        runs[name] = outputs_in(Path(folder))
    return runs


def outputs_in(folder: Path) -> Path:
    """The folder itself if it has outputs, else its `out/`.

    Raises:
        InputError: neither has outputs.
    """
    for path in (folder, folder / OUT):
        if any((path / file_name(view)).is_file() for view in STORED_VIEWS):
            return path
    raise InputError(
        f"{folder}: no outputs of a run, such as selection.parquet, are there or in its folder "
        "`out`. Name a folder that has some."
    )
