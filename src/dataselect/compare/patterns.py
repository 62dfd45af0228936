"""Names of runs with `*`, `?` and `[…]`: what they stand for, and which of them to advise."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from dataselect.compare import revisions
from dataselect.compare.recorded import Run
from dataselect.errors import InputError, did_you_mean


def is_pattern(name: str) -> bool:
    """Whether a name stands for the experiments that it matches."""
    return any(sign in name for sign in "*?[") and not Path(name).exists()


def experiments_named(pattern: str) -> list[str]:
    """The experiments of HEAD that a pattern matches; those of other commits where none of HEAD is.

    Raises:
        InputError: it matches none, or the working directory is no DVC project.
    """
    revisions.check_project()
    known = revisions.experiments()
    same = [experiment for experiment in known if fnmatchcase(experiment.name, pattern)]
    head = revisions.resolve("HEAD")
    ours = [experiment for experiment in same if experiment.baseline == head] or same
    if not ours:
        names = dict.fromkeys(experiment.name for experiment in known)
        raise InputError(f"no experiment matches `{pattern}`. {did_you_mean(pattern, names)}")
    return list(dict.fromkeys(experiment.name for experiment in ours))


def advice(runs: list[Run], conflict: list[Run], differing: Iterable[str]) -> str:
    """What to type in place of all runs: ", such as `small-*`"; empty where no pattern will do.

    Args:
        conflict: those of the runs that cannot be compared with each other; the pattern has one.
        differing: the settings that keep the runs from being compared: they are the same in all
            runs that the pattern matches.
    """
    best: tuple[int, str] = (1, "")
    for pattern in dict.fromkeys(p for run in conflict for p in _patterns(run.name)):
        matched = [run for run in runs if fnmatchcase(run.name, pattern)]
        kinds = {str([run.settings.get(key) for key in differing]) for run in matched}
        conditions = {(run.method, run.budget, run.seed) for run in matched}
        if len(kinds) == 1 and len(conditions) == len(matched) > best[0]:
            best = (len(matched), pattern)
    return f", such as `{best[1]}`" if best[1] else ""


def _patterns(name: str) -> list[str]:
    """A name without its last parts, then without its first ones: a sweep joins parts by `-`."""
    parts = name.split("-")
    counts = range(1, len(parts))
    return [
        *("-".join(parts[:count]) + "-*" for count in counts),
        *("*-" + "-".join(parts[count:]) for count in counts),
    ]
