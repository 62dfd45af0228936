"""What the runs of a sweep share, and the order that computes it once."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from dataselect.data.files import content_key
from dataselect.errors import InputError
from dataselect.plan.run import Plan, plan
from dataselect.plan.sample import read_tasks
from dataselect.sweep.settings import Member, changed

#: The steps of a run, in order; what two runs have in common is computed once.
STEPS = ("dedup", "reference", "embed", "score", "aggregate", "train", "baseline", "eval")


@dataclass(frozen=True)
class Planned:
    """A run of a sweep with what it will do.

    Attributes:
        params: params.yaml as the run has it.
        keys: step → the hash of everything that decides it; steps that do nothing are left out.
    """

    member: Member
    params: dict[str, Any]
    sections: Plan
    keys: dict[str, str]

    @property
    def name(self) -> str:
        """Of its experiment."""
        return self.member.name

    @property
    def features(self) -> str:
        """What the run shares with others that measure rows in the same way."""
        return content_key([self.keys.get("reference"), self.keys.get("embed")])


def planned_runs(
    members: list[Member], params: dict[str, Any], methods: dict[str, Any]
) -> list[Planned]:
    """The runs with their plans, in the order in which they are to run.

    Runs with the same features follow each other, and of these runs with the same scores; then
    smaller places in the sweep's lists of budgets, then of seeds, come first.

    Args:
        params: params.yaml.
        methods: methods.yaml.

    Raises:
        InputError: a mistake in the settings of a run.
    """
    runs = []
    for member in members:
        own = changed(params, member.changes)
        with errors_of(member.name):
            sections = plan(own, methods)
        runs.append(Planned(member, own, sections, step_keys(sections)))
    return in_sharing_order(runs)


@contextmanager
def errors_of(name: str) -> Generator[None]:
    """Names the run in a message about a mistake."""
    try:
        yield
    except InputError as error:
        raise InputError(f"run {name}: {error}") from None


def check_tasks(runs: list[Planned]) -> None:
    """Checks that there are queries and tests of the tasks of all runs.

    Raises:
        InputError: a task has none, or a row of them cannot be understood.
    """
    names = ("queries", "query_tasks", "tests", "tasks")
    seen = set()
    for run in runs:
        given = as_json(run.sections)["dedup"]
        key = content_key([given[name] for name in names])
        if key not in seen:
            with errors_of(run.name):
                read_tasks(run.sections)
        seen.add(key)


def in_sharing_order(runs: list[Planned]) -> list[Planned]:
    """The runs, those beside each other that share most."""
    features = _first_places(run.features for run in runs)
    scores = _first_places(run.keys["score"] for run in runs)

    def place(run: Planned) -> tuple[int, ...]:
        tasks, budget, seed = run.member.place
        return features[run.features], tasks, scores[run.keys["score"]], budget, seed

    return sorted(runs, key=place)


def _first_places(keys: Any) -> dict[str, int]:
    return {key: number for number, key in enumerate(dict.fromkeys(keys))}


def step_keys(sections: Plan) -> dict[str, str]:
    """Step → the hash of its own settings and of all that it stands on.

    The budget stands in the section of `reference` only to be checked there. Features of the pool
    are stored by its rows, so methods with queries and without share them.
    """
    given = as_json(sections)
    reference = {k: v for k, v in given["reference"].items() if k not in ("budget", "mix")}
    fitted = sections.reference.reference is not None
    pool = _pool(given["dedup"])
    keys = {"dedup": content_key(given["dedup"])}
    if fitted:
        keys["reference"] = content_key([pool, reference])
    if sections.embed.features is not None:
        features = {k: v for k, v in given["embed"].items() if k != "queries"}
        keys["embed"] = content_key([pool, reference, features])
    if sections.baseline.model is not None:
        tests = {name: given["dedup"][name] for name in ("tests", "tasks", "kinds", "run_code")}
        keys["baseline"] = content_key([tests, given["baseline"]])
    before = content_key([given["dedup"], reference])
    for step, section in (("score", [given["embed"], given["score"]]), *_later(given)):
        keys[step] = before = content_key([before, section])
    return keys


def _later(given: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(step, given[step]) for step in ("aggregate", "train", "eval")]


def _pool(dedup: dict[str, Any]) -> dict[str, Any]:
    """What decides the pool's rows: its features are stored by them, whatever the tasks."""
    others = ("queries", "tests", "tasks", "query_tasks", "kinds", "run_code", "prompts")
    return {name: value for name, value in dedup.items() if name not in others}


def as_json(sections: Plan) -> dict[str, Any]:
    """A plan as plan.json has it."""
    return json.loads(json.dumps(asdict(sections)))


def distinct(runs: list[Planned]) -> dict[str, list[Planned]]:
    """Step → a run for each time that the step has to be computed; those to be run first."""
    return {
        step: list({run.keys[step]: run for run in reversed(runs) if step in run.keys}.values())
        for step in STEPS
    }
