"""The outputs of the runs that a question is about: in folders, and in DVC's cache."""

from __future__ import annotations

from pathlib import Path

from dataselect.ask.views import STORED_VIEWS, Outputs, file_name
from dataselect.errors import InputError

#: The outputs of the run in the project's folder.
OUT = Path("out")


def run_outputs(given: list[str]) -> dict[str, Outputs]:
    """The outputs by the names of the runs; nothing is checked out or copied.

    Args:
        given: `RUN` or `NAME=RUN` for every run: a folder of outputs, or one with `out/` in it; a
            DVC experiment, a revision of git's, `workspace`. `RUN` with `*`, `?` or `[…]`:
            experiments. None: the run in this folder.

    Raises:
        InputError: a name is missing or comes twice; nothing is called so, or it has no outputs.
    """
    if not given:
        return {OUT.name: OUT}
    places: dict[str, str] = {}
    for run in _without_patterns(given):
        name, equals, place = run.partition("=")
        if not name or (equals and not place):
            raise InputError(
                f"--run {run}: expected RUN or NAME=RUN. Write --run {name or 'NAME'}=…"
            )
        if name in places:
            raise InputError(f"--run {run}: another run is called `{name}`. Change one name.")
        places[name] = place or name
    others = [place for place in dict.fromkeys(places.values()) if not _outputs_in(Path(place))]
    found = _recorded(others) if others else {}
    return {name: _outputs_in(Path(place)) or found[place] for name, place in places.items()}


def _without_patterns(given: list[str]) -> list[str]:
    from dataselect.compare.patterns import experiments_named, is_pattern

    return [
        name
        for run in given
        for name in (experiments_named(run) if "=" not in run and is_pattern(run) else [run])
    ]


def _outputs_in(folder: Path) -> Path | None:
    """The folder itself if it has outputs, else its `out/`, if that has some."""
    for path in (folder, folder / OUT):
        if any((path / file_name(view)).is_file() for view in STORED_VIEWS):
            return path
    return None


def _recorded(names: list[str]) -> dict[str, Outputs]:
    """The outputs of experiments, revisions and the workspace.

    Raises:
        InputError: nothing is called so, or no stage of it has run.
    """
    from dataselect.compare.find_runs import WORKSPACE, cached_outputs

    for name in names:
        if Path(name).is_dir():
            raise InputError(
                f"{name}: no outputs of a run, such as selection.parquet, are there or in its "
                "folder `out`. Name a folder that has some."
            )
    recorded = [name for name in names if name != WORKSPACE]
    found: dict[str, Outputs] = dict(cached_outputs(recorded))
    return found | ({WORKSPACE: OUT} if WORKSPACE in names else {})
