"""The outputs of a run to browse: in a folder, in the workspace, or in DVC's cache."""

from __future__ import annotations

from pathlib import Path

from dataselect.ask.run_files import RunFiles
from dataselect.compare import revisions
from dataselect.compare.find_runs import (
    WORKSPACE,
    cache_folder,
    find_revision,
    project_runs,
)
from dataselect.compare.outputs import find_output, find_outputs
from dataselect.compare.recorded import FILES, PLAN, recorded_run
from dataselect.errors import InputError

#: What a browser reads. Pool and selection it needs; the page says which of the others it lacks.
TABLES = ("pool", "selection", "scores", "groups", "queries")


def run_outputs(name: str, scratch: Path) -> RunFiles:
    """The outputs of a run.

    Args:
        name: an experiment, a git revision, `workspace`, or a folder of outputs.
        scratch: a folder for links to DVC's cache, which lives as long as the outputs are read.

    Raises:
        InputError: nothing has this name, its rows were not selected with its settings, or its pool
            or selection is nowhere.
    """
    if name == WORKSPACE:
        return _checked(RunFiles(Path("out")), name)
    folder = Path(name)
    for place in (folder, folder / "out"):
        if (place / "pool.parquet").is_file():
            return _checked(RunFiles(place), name)
    if folder.is_dir():
        raise InputError(f"{name}: no pool.parquet in this folder. Name a run's folder of outputs.")
    revisions.check_project()
    return _checked(_from_cache(name, scratch), name)


def _checked(run: RunFiles, name: str) -> RunFiles:
    for table in ("pool", "selection"):
        if not run.has(table):
            raise InputError(
                f"{name}: out/{table}.parquet is not there, and there are no rows to show without "
                "it. Run `dvc repro`, or bring it from a DVC remote (`dvc pull`; `dvc exp pull "
                "ORIGIN NAME` for an experiment), or name another run: --rows-of RUN."
            )
    return run


def _from_cache(name: str, scratch: Path) -> RunFiles:
    """Links to the files in DVC's cache that a revision's stages have written with its settings."""
    (files,) = revisions.read_files([find_revision(name)], FILES)
    found = recorded_run(name, files, cache_folder())
    if found.problem and "out/selection.parquet" not in found.outputs:
        raise InputError(f"{name}: {found.problem}.")
    folder = scratch / "out"
    folder.mkdir(parents=True)
    (folder / PLAN).write_bytes(files[PLAN] or b"{}")
    for table in TABLES:
        if path := find_output(found, f"{table}.parquet"):
            _link(path, folder / f"{table}.parquet")
    for side in ("pool", "queries"):
        for number, path in enumerate(find_outputs(found, "features", side)):
            _link(path, folder / "features" / side / f"{number:05}.safetensors")
    return RunFiles(folder)


def unfinished(name: str) -> str | None:
    """Why the outputs in the workspace may be of other settings than its plan; None elsewhere."""
    if name != WORKSPACE:
        return None
    try:
        run = project_runs([WORKSPACE])[WORKSPACE]
    except InputError:  # no DVC project: nothing is known of the outputs
        return None
    return run.problem if run.state == "incomplete" else None


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.resolve())  # the cache may be on another disk
