"""The tables of simulated comparisons, from the results of `comparisons.py`; for `readme.py`."""

from __future__ import annotations

from typing import Any

Runs = list[dict[str, Any]]


def rates(result: dict[str, Any]) -> str:
    """Every case: false alarms of each way, and how often a stated size is found."""
    lines = [
        "| case | seeds | seeds' part | false alarms | resampling | unpaired, one run | found |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in result["runs"]:
        case = run["case"]
        seeds = "–" if min(case["seeds"]) == 1 else f"{run['seeds_over_tests']:.1f}"
        cells = [_name(case), _seeds(case), seeds]
        cells += [_percent(run[key]) for key in ("false_alarms", "resampled", "unpaired")]
        cells.append("–" if run["found_at_stated"] is None else f"{run['found_at_stated']:.0%}")
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        f"{result['repeats']:,} repeats, {result['repeats'] // 2:,} for “found”, "
        f"{result['resampled_repeats']:,} for resampling, of {result['resamples']} resamples: a "
        f"rate of 5 % has a standard error of {_error(result['repeats']):.1f} and "
        f"{_error(result['resampled_repeats']):.1f} points. “Seeds' part”: the variance between "
        "seeds in proportion to the rest. “Unpaired”: the z test of lm-eval's model_comparator.py, "
        "between one run of each. “Found”: – where no outcome can differ by the stated size. "
        f"{_summed(result['runs'])} (`python benchmarks/comparisons.py`)"
    )
    return "\n".join([*lines, "", note])


def alarms(result: dict[str, Any]) -> str:
    """The main cases, by the number of seeds: the range of each way's false alarms."""
    lines = [
        "| seeds of each | seeds vary | crossed variances | two-way resampling | unpaired, one run "
        "| a stated size is found |",
        "|---|---|---|---|---|---|",
    ]
    main = [run for run in result["runs"] if run["case"]["name"] == "main"]
    for seeds in sorted({run["case"]["seeds"][0] for run in main}):
        for vary in (False, True):
            runs = [r for r in main if r["case"]["seeds"][0] == seeds]
            runs = [r for r in runs if (r["case"]["seed_sd"][0] > 0) == vary]
            keys = ("false_alarms", "resampled", "unpaired", "found_at_stated")
            cells = [str(seeds), "yes" if vary else "no", *(_range(runs, key) for key in keys)]
            lines.append(f"| {' | '.join(cells)} |")
    unequal = [r for r in result["runs"] if min(r["case"]["seed_sd"]) < max(r["case"]["seed_sd"])]
    worst = ", ".join(
        f"{_percent(run['false_alarms'])} with {run['case']['seeds'][0]}" for run in unequal
    )
    note = (
        "500 tests, with and without clusters of 5, binary and continuous scores; false alarms "
        "where 5 % is meant. Where the seeds of only one of the methods vary, crossed variances "
        f"gave false alarms of {worst} seeds. All cases: "
        "[benchmarks](../benchmarks/README.md#how-often-comparisons-find-a-difference)."
    )
    return "\n".join([*lines, "", note])


def _name(case: dict[str, Any]) -> str:
    """What a case is, as text."""
    kind = "binary" if case["binary"] else "continuous"
    if case["name"] != "main":
        return f"{case['name']}, {kind}"
    clusters = f", clusters of {case['cluster']}" if case["cluster"] > 1 else ""
    return f"{case['tests']} tests{clusters}, {kind}"


def _seeds(case: dict[str, Any]) -> str:
    first, second = case["seeds"]
    return str(first) if first == second else f"{first}, {second}"


def _summed(runs: Runs) -> str:
    """How the mean over tasks would do if its seeds' part were Σ variance / T² as well."""
    both = [run for run in runs if run["summed_over_tasks"] is not None]
    named = " and ".join(
        f"{_percent(run['summed_over_tasks'])} where {run['case']['name'].partition(', ')[2]}"
        for run in both
    )
    return (
        "With Σ variance / T² for the seeds' part of the mean over tasks too, the false alarms "
        f"would be {named}."
    )


def _range(runs: Runs, key: str) -> str:
    values = [run[key] for run in runs if run[key] is not None]
    low, high = 100 * min(values), 100 * max(values)
    return f"{low:.0f} – {high:.0f} %" if key == "found_at_stated" else f"{low:.1f} – {high:.1f} %"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _error(repeats: int) -> float:
    """The standard error of a rate of 5 %, in points."""
    return 100 * (0.05 * 0.95 / repeats) ** 0.5
