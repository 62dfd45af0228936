"""Which runs of a sweep are done: by git's references of experiments and by their outputs alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dataselect.compare import recorded, revisions
from dataselect.compare.find_runs import cache_folder
from dataselect.compare.outputs import md5
from dataselect.compare.recorded import FILES, PARAMS, PLAN, Files
from dataselect.errors import InputError
from dataselect.sweep.order import STEPS, Planned, as_json


class Progress(NamedTuple):
    """What is left of a sweep.

    Attributes:
        missing: the runs that are to be run, in their order.
        notes: what to say of those that had an experiment and are run again.
    """

    missing: list[Planned]
    notes: list[str]


def what_is_missing(runs: list[Planned], head: str) -> Progress:
    """Looks for the experiments of a commit that are these runs, with outputs that can be read.

    Args:
        runs: in the order in which they are to run.
        head: the commit.

    Raises:
        InputError: an experiment of the commit has a run's name, and other settings, or its files
            cannot be read.
    """
    known = [e for e in revisions.experiments() if e.state == "finished"]
    own = {e.name: e.revision for e in known if e.baseline == head}
    named = [run for run in runs if run.name in own]
    files = revisions.read_files([own[run.name] for run in named], FILES)
    found = dict(zip((run.name for run in named), files, strict=True))
    cache = cache_folder()
    _check_settings(named, found)
    reasons = {run.name: _why_again(run, found[run.name], cache) for run in named}
    missing = [run for run in runs if run.name not in own or reasons[run.name]]
    notes = [f"{name}: {reason}; it is run again" for name, reason in reasons.items() if reason]
    elsewhere = {e.name for e in known if e.baseline != head} & {run.name for run in missing}
    if elsewhere:
        notes.append(
            f"{len(elsewhere)} runs have an experiment of another commit, which does not count; "
            "what has not changed since comes from DVC's cache"
        )
    return Progress(missing, notes)


def _check_settings(runs: list[Planned], found: dict[str, Files]) -> None:
    taken = {}
    for run in runs:
        before = recorded.parsed_yaml(run.name, PARAMS, found[run.name])
        if before != run.params:
            taken[run.name] = ", ".join(_differences(before, run.params))
    if taken:
        lines = [f"  {name}: {differences}" for name, differences in taken.items()]
        raise InputError(
            f"experiments of these names have other settings in {PARAMS} than the sweep:\n"
            + "\n".join(lines)
            + "\nSet another `name` in the sweep's file, or remove them:\n"
            + f"dvc exp remove {' '.join(taken)}"
        )


def _differences(before: Any, wanted: Any, place: str = "") -> Iterator[str]:
    """Where the settings of an experiment are not those of the sweep, and what they are."""
    if isinstance(before, dict) and isinstance(wanted, dict):
        for key in dict.fromkeys([*wanted, *before]):
            name = f"{place}.{key}" if place else str(key)
            yield from _differences(before.get(key), wanted.get(key), name)
    elif before != wanted:
        given = ("not set" if value is None else repr(value)[:60] for value in (before, wanted))
        yield f"{place} is {' there, '.join(given)} in the sweep"


def _why_again(run: Planned, files: Files, cache: Path) -> str | None:
    """Why an experiment is not the run as it is to be now; None where it is."""
    plan = recorded.parsed_json(run.name, PLAN, files) or {}
    wanted = as_json(run.sections)
    changed = [step for step in STEPS if plan.get(step) != wanted[step]]
    if changed:
        return f"it was made with other files or code ({', '.join(changed)})"
    found = recorded.recorded_run(run.name, files, cache)
    if found.problem:
        return found.problem.partition(". ")[0]
    if found.evaluation is not None and md5(found.evaluation.read_bytes()) != found.digest:
        return "its evaluation in DVC's cache is damaged"
    return None
