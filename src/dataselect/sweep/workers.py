"""How many runs of a sweep fit into memory at a time."""

from __future__ import annotations

from dataselect import report
from dataselect.errors import InputError
from dataselect.plan.memory import training_bytes
from dataselect.sweep.order import Planned


def check_workers(runs: list[Planned], workers: int) -> None:
    """Checks that the memory allows so many runs at a time, as far as it is known.

    Args:
        workers: how many.

    Raises:
        InputError: training alone would take more than there is.
    """
    if workers < 1:
        raise InputError(f"--workers: expected at least 1, found {workers}. Raise it.")
    if workers == 1:
        return
    for run in runs:
        known = training_bytes(run.sections)
        if known is None:
            continue
        used, share = known
        if used * workers > share:
            fit = max(1, int(share // used))
            raise InputError(
                f"--workers {workers}: {run.name} trains in at most "
                f"{report.format_bytes(round(used))}, and "
                f"{report.format_bytes(round(share))} of memory are at hand. "
                f"Set --workers {fit}."
            )
