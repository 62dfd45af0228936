"""Whether runs may be compared: one model, seeds that are repeats, the same tests."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import polars as pl

from dataselect.compare.patterns import advice
from dataselect.compare.recorded import Run
from dataselect.compare.scores import RunScores, condition_name
from dataselect.errors import InputError, did_you_mean, first_few

#: Settings that may differ between the runs of a method: the seed, and what decides last bits.
REPEATS_MAY_DIFFER = ("seed", "threads", "processes", "code")

#: Sections of the plan that choosing rows has no part in: what else differs than the method.
SHARED_SECTIONS = ("dedup.", "train.", "eval.")


class Evaluated(NamedTuple):
    """A run and its scores test by test: an `evaluation` table."""

    run: Run
    tests: pl.DataFrame

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{condition_name((self.run.method or '', self.run.budget))} ({self.run.name})"

    def scores(self) -> RunScores:
        """What the statistics take."""
        run = self.run
        return RunScores(run.method or run.name, run.budget, run.seed, self.tests)


def of_one_model(runs: list[Run], wanted: str | None) -> list[Run]:
    """The runs of one base model.

    Args:
        wanted: its name; None where there must be only one.

    Raises:
        InputError: there are several, or none of that name.
    """
    by_model: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for run in runs:
        by_model[run.model].append(run)
    if wanted is None and len(by_model) - (() in by_model) < 2:
        return runs
    names = {key: _model_name(key, list(by_model)) for key in by_model}
    if wanted is not None:
        chosen = [run for run in runs if names[run.model] == wanted]
        if not chosen:
            hint = did_you_mean(wanted, sorted(set(names.values())))
            raise InputError(f"--model: no run of `{wanted}`. {hint}")
        return chosen
    listed = "; ".join(
        f"{names[key]}: {first_few(run.name for run in group)}" for key, group in by_model.items()
    )
    raise InputError(
        f"the runs have trained different models: {listed}. Scores of one model say nothing of "
        "methods on another: compare one model's runs, with --model NAME."
    )


def _model_name(model: tuple[str, ...], others: list[tuple[str, ...]]) -> str:
    """The model's name, and what tells it from others of that name."""
    if not model:
        return "unknown"
    same = sum(other[:1] == model[:1] for other in others)
    return model[0] if same == 1 else "@".join([model[0], *(part[:8] for part in model[1:])])


def without_copies(runs: list[Run]) -> list[Run]:
    """The runs, each once: the workspace is often the same as an experiment.

    Raises:
        InputError: two runs of one method, budget and seed are not the same run.
    """
    seen: dict[tuple[Any, ...], Run] = {}
    for run in runs:
        first = seen.setdefault((run.method, run.budget, run.seed), run)
        if first.digest != run.digest or _differing([first, run], REPEATS_MAY_DIFFER):
            differing = _differing([first, run], ("code",)) or _differing([first, run], ())
            why = "Their settings are the same, their scores are not."
            if differing:
                why = f"They differ in {_list_settings(differing)}."
            label = condition_name((run.method or run.name, run.budget))
            raise InputError(
                f"{first.name} and {run.name} are two runs of {label}, seed {run.seed}. {why} "
                "Expected one for each method, budget and seed: name the runs to be compared"
                f"{advice(runs, [first, run], differing)}."
            )
    return list(seen.values())


def check_repeats(runs: list[Run]) -> list[str]:
    """Checks that the runs of a method and budget differ in their seeds only.

    Returns:
        What must be known of the runs: other code, other settings of two methods.

    Raises:
        InputError: they differ in other settings.
    """
    groups: dict[Any, list[Run]] = defaultdict(list)
    for run in runs:
        groups[(run.method or run.name, run.budget)].append(run)
    notes = []
    if unknown := [run.name for run in runs if not run.settings]:
        notes.append(
            f"the settings of {first_few(unknown)} are not known: whether they have the model of "
            "the others, and differ from their repeats in the seed only, could not be checked."
        )
    for condition, group in groups.items():
        if differing := _differing(group, REPEATS_MAY_DIFFER):
            raise InputError(
                f"the runs of {condition_name(condition)} ({first_few(r.name for r in group)}) "
                f"differ in more than their seed: in {_list_settings(differing)}. They are no "
                f"repeats of one method: name those that are"
                f"{advice(runs, group, differing)}."
            )
        ignored = tuple(word for word in REPEATS_MAY_DIFFER if word != "code")
        if differing := _differing(group, ignored):
            stages = first_few(key.partition(".")[0] for key in differing)
            notes.append(
                f"the runs of {condition_name(condition)} were made by different versions of the "
                f"code of: {stages}."
            )
    shared = _differing([group[0] for group in groups.values()], REPEATS_MAY_DIFFER)
    shared = {key: values for key, values in shared.items() if key.startswith(SHARED_SECTIONS)}
    if shared:
        notes.append(
            "the methods' runs differ in more than what chooses the rows: in "
            f"{_list_settings(shared)}. A difference may be due to that."
        )
    return notes


def _differing(runs: list[Run], ignored: tuple[str, ...]) -> dict[str, list[Any]]:
    """Settings that are not the same in all runs that have any: key → the values."""
    known = [run.settings for run in runs if run.settings]
    found = {}
    for key in dict.fromkeys(key for settings in known for key in settings):
        if key.startswith("eval.run.") or key.rpartition(".")[2] in ignored:
            continue
        values = [settings.get(key) for settings in known]
        if any(value != values[0] for value in values):
            found[key] = values
    return found


def _list_settings(differing: dict[str, list[Any]]) -> str:
    return first_few(
        (
            f"{key} ({first_few(dict.fromkeys(str(value)[:40] for value in values))})"
            for key, values in differing.items()
        ),
        3,
    )


def on_same_tests(runs: list[Evaluated], shared: bool) -> tuple[list[Evaluated], list[str]]:
    """The runs on tests that all of them have scores for, and what must be known of the others.

    Args:
        shared: whether tests that only some runs have are left out, instead of refused.

    Raises:
        InputError: there are such tests and they are not left out, or no test is shared.
    """
    scored = [run.tests.filter(pl.col("value").is_not_null()) for run in runs]
    keys = pl.concat([frame.select("task", "id") for frame in scored])
    counts = keys.group_by("task", "id", maintain_order=True).len()
    common = counts.filter(pl.col("len") == len(runs)).select("task", "id")
    other = counts.height - common.height
    unjudged = _not_judged(runs)
    if not other:
        return [Evaluated(r.run, f) for r, f in zip(runs, scored, strict=True)], unjudged
    tasks = counts.filter(pl.col("len") < len(runs))["task"].unique(maintain_order=True)
    finding = (
        f"{other:,} of {counts.height:,} tests are not scored in all runs (of {first_few(tasks)})"
    )
    if common.is_empty() or not shared:
        advice = "compare them on the tests that they share, with --shared"
        if common.is_empty():
            advice = "name runs that share tests"
        about = f" {' '.join(unjudged)}" if unjudged else ""
        raise InputError(
            f"{finding}: {_missing(runs, scored)}.{about} Evaluate all alike, or {advice}."
        )
    kept = [
        Evaluated(r.run, f.join(common, on=["task", "id"], how="semi", maintain_order="left"))
        for r, f in zip(runs, scored, strict=True)
    ]
    return kept, [*unjudged, f"{finding}: they are left out, which changes what the scores mean."]


def _missing(runs: list[Evaluated], scored: list[pl.DataFrame]) -> str:
    """How many tests which runs have."""
    by_count: dict[int, list[str]] = defaultdict(list)
    for run, frame in zip(runs, scored, strict=True):
        by_count[frame.height].append(run.label)
    return "; ".join(f"{first_few(names, 3)}: {count:,}" for count, names in by_count.items())


def _not_judged(runs: list[Evaluated]) -> list[str]:
    """A sentence for every task that some runs have no score for."""
    found: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        counts = run.tests.group_by("task", maintain_order=True).agg(pl.col("value").count())
        for task in counts.filter(pl.col("value") == 0)["task"]:
            found[task].append(run.run.name)
    return [
        f"task {task} was not judged"
        f"{'' if len(names) == len(runs) else ' in ' + first_few(names)}, and is left out."
        for task, names in found.items()
    ]
