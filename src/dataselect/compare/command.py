"""The commands `dataselect compare` and `dataselect runs`."""

from __future__ import annotations

from collections.abc import Callable

from dataselect import report
from dataselect.compare import pages
from dataselect.compare.comparison import Comparison, compare_runs, sorted_runs
from dataselect.compare.find_runs import all_runs, named_runs
from dataselect.compare.recorded import Run
from dataselect.errors import InputError

#: How a comparison is printed, by the option that asks for it.
FORMS: dict[str, Callable[[Comparison], str]] = {
    "json": pages.as_json,
    "md": pages.markdown,
    "csv": pages.as_csv,
}


def compare_command(
    names: list[str],
    baseline: str | None,
    forms: dict[str, bool],
    *,
    per_task: bool,
    shared: bool,
    model: str | None,
) -> str:
    """Compares the named runs, or all of HEAD and the workspace.

    Args:
        names: see `find_runs.named_runs`; none: all.
        forms: names of `FORMS`, and whether each is wanted; none: tables are printed.

    Returns:
        What is still to be printed, in the form that was asked for.

    Raises:
        InputError: the runs cannot be found or compared, or several forms were asked for.
    """
    wanted = [name for name, wish in forms.items() if wish]
    if len(wanted) > 1:
        raise InputError(f"--{wanted[0]} and --{wanted[1]}: expected one form. Leave out one.")
    runs = named_runs(names) if names else all_runs()
    found = compare_runs(runs, baseline, shared=shared, model=model, per_task=per_task)
    if wanted:
        return FORMS[wanted[0]](found)
    pages.show(found)
    return ""


def runs_command() -> None:
    """Prints HEAD, its experiments and the workspace with their own scores and costs.

    Raises:
        InputError: the working directory is no DVC project in a git repository.
    """
    runs = sorted_runs(all_runs())
    header = ("run", "method", "budget", "seed", "score", "nats", "FLOPs")
    report.table("Runs", [_cells(run) for run in runs], header)
    if any(_is_contaminated(run) for run in runs):
        report.console.print("* contaminated: rows that the model was trained on overlap tests")
    for state in dict.fromkeys(run.state for run in runs if run.state != "finished"):
        name, why = next((run.name, run.problem) for run in runs if run.state == state)
        report.console.print(f"{state}: {name}: {why}", markup=False, highlight=False)


def _cells(run: Run) -> tuple[str, ...]:
    """Name, settings and own scores of a run; its state, where it has no scores."""
    mean = (run.scores or {}).get("mean", {})
    score, loss = mean.get("score"), mean.get("answer_nll_nats")
    shown = run.state if run.state != "finished" else "–"
    if score is not None:
        shown = f"{score:.3f}{' *' if _is_contaminated(run) else ''}"
    settings = (
        "–" if value is None else str(value) for value in (run.method, run.budget, run.seed)
    )
    return (
        run.name,
        *settings,
        shown,
        "–" if loss is None else f"{loss:.3f}",
        "–" if run.flops is None else f"{run.flops:.1e}",
    )


def _is_contaminated(run: Run) -> bool:
    return bool((run.scores or {}).get("mean", {}).get("contaminated_tasks"))
