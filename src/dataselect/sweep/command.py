"""The command `dataselect sweep`."""

from __future__ import annotations

from pathlib import Path

from dataselect import report
from dataselect.errors import InputError, first_few
from dataselect.plan.params import read_yaml
from dataselect.sweep.cost import show_cost
from dataselect.sweep.done import what_is_missing
from dataselect.sweep.order import STEPS, Planned, check_tasks, distinct, planned_runs
from dataselect.sweep.repository import Repository, only_sweep, open_repository
from dataselect.sweep.runner import LOGS, Clock, log_of, run_all
from dataselect.sweep.settings import read_members
from dataselect.sweep.workers import check_workers
from dataselect.sweep.workspace import Workspace, remove_workspaces


def sweep_command(path: Path, *, dry_run: bool, workers: int) -> None:
    """Runs what is missing of a sweep, each run as an experiment of the last commit.

    Args:
        path: the file of the sweep.
        dry_run: say what is to be run, and what it will take; run nothing.
        workers: how many runs at a time.

    Raises:
        InputError: a mistake in the file or the settings, a repository that is not as committed,
            or a run that failed.
    """
    repository = open_repository()
    params, methods = read_yaml("params.yaml"), read_yaml("methods.yaml")
    runs = planned_runs(read_members(path, params), params, methods)
    check_workers(runs, workers)
    check_tasks(runs)
    missing = _missing(runs, repository)
    if not missing:
        report.console.print("All runs are done. Compare them: `dataselect compare`")
        return
    show_cost(missing)
    if dry_run:
        return
    with only_sweep() as lock:
        missing = _missing(runs, repository, quiet=True)  # another sweep may just have ended
        failed = _run(runs, missing, repository, lock, min(workers, max(1, len(missing))))
    if failed:
        lines = [f"  {log_of(run)}" for run in runs if run.name in failed]
        raise InputError(
            f"{len(failed)} of {len(runs)} runs failed, for the reasons above; the others are "
            "done. The same command runs these again. Their output is in\n" + "\n".join(lines)
        )
    report.console.print(f"All {len(runs)} runs are done. Compare them: `dataselect compare`")


def _run(
    runs: list[Planned], missing: list[Planned], repository: Repository, lock: int, workers: int
) -> dict[str, str]:
    workspaces = [Workspace(n, repository, lock, shared=workers > 1) for n in range(workers)]
    clock = Clock(len(runs), len(missing), workers)
    LOGS.mkdir(parents=True, exist_ok=True)
    setup = LOGS / "setup.log"
    setup.unlink(missing_ok=True)
    try:
        remove_workspaces(repository.below)
        for workspace in workspaces:
            workspace.make(setup)
        failed = run_all(missing, workspaces, clock.started, clock.ended)
    except KeyboardInterrupt:
        report.console.print(
            f"Stopped. {clock.done} of {len(runs)} are done; the same command goes on.",
            highlight=False,
        )
        raise  # the command ends with status 130
    remove_workspaces(repository.below)
    return failed


def _missing(runs: list[Planned], repository: Repository, *, quiet: bool = False) -> list[Planned]:
    """The runs that are to be run; says what they are."""
    found = what_is_missing(runs, repository.head)
    if quiet:
        return found.missing
    steps = distinct(runs)
    left = distinct(found.missing)
    rows = [(step, len(steps[step]), len(left[step])) for step in STEPS if steps[step]]
    report.table(
        f"Sweep: {len(runs)} runs, {len(found.missing)} of them to be run",
        [("runs", len(runs), len(found.missing)), *rows],
        ("computed once for all that share it", "all", "to be run"),
    )
    for note in found.notes[:5]:
        report.console.print(note, markup=False, highlight=False)
    if len(found.notes) > 5:
        report.console.print(f"and {len(found.notes) - 5} more runs")
    names = [run.name for run in found.missing]
    if names:
        report.console.print(f"in this order: {first_few(names)}\n", markup=False, highlight=False)
    return found.missing
