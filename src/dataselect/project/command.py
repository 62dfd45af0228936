"""The options of `dataselect init`: a new project, or an update."""

from __future__ import annotations

from pathlib import Path

from dataselect.errors import InputError
from dataselect.project.create import create
from dataselect.project.inputs import Inputs
from dataselect.project.update import update as update_project


def init(
    folder: Path,
    files: dict[str, list[str]],
    choice: dict[str, str | None],
    *,
    demo: bool,
    update: bool,
    apply: bool,
) -> None:
    """Makes a project, or compares one with the installed version.

    Args:
        files: `pool`, `queries` and `tests`, as given; empty where not.
        choice: `model`, `method` and `budget`, likewise; None where not.
        demo: the demo's project.
        update: compare, instead of making a project.
        apply: with `update`: write the files.

    Raises:
        InputError: options that do not go together, or as of `create` and `update`.
    """
    named = [name for name, value in {**files, **choice, "demo": demo}.items() if value]
    if update and named:
        raise InputError(f"--update changes no settings. Leave out --{named[0]}.")
    if apply and not update:
        raise InputError("--yes belongs to --update. Leave it out.")
    if update:
        update_project(folder, apply=apply)
        return
    budget = choice["budget"]
    rows = int(budget) if budget and budget.isdecimal() else budget
    inputs = Inputs(
        pool=files["pool"],
        queries=files["queries"],
        tests=files["tests"],
        model=choice["model"],
        method=choice["method"],
        budget=rows,
    )
    create(folder, inputs, demo=demo)
