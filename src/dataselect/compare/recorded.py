"""A run as its files have it: settings, own scores and cost, and where its evaluation lies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dataselect.compare.outputs import md5, stored
from dataselect.errors import InputError

#: The files of a run that git holds.
PLAN, LOCK = "plan.json", "dvc.lock"
SCORES, COST = "metrics/eval.json", "metrics/cost.json"
PARAMS = "params.yaml"
EVALUATION = "out/evaluation.parquet"
BASELINE = "out/baseline.parquet"
FILES = (PLAN, LOCK, SCORES, COST, PARAMS)

#: The stages that a run's scores come from, in order.
STAGES = ("dedup", "reference", "embed", "score", "aggregate", "train", "eval")

#: What to do about files that are gone from DVC's cache.
BRING = (
    "Bring it from a DVC remote (`dvc exp pull ORIGIN NAME` for an experiment, `dvc fetch "
    "--all-commits` for commits), or run it again"
)

Files = dict[str, bytes | None]


@dataclass(frozen=True)
class Run:
    """A run, or why it is none.

    Attributes:
        name: what the user calls it: an experiment, a revision, a folder.
        method, budget, seed: None where they are unknown.
        model: name, revision and hash of the model that was trained; empty where unknown.
        settings: all sections of its plan, as `train.recipe.epochs` → value.
        scores: metrics/eval.json, where it is this run's own.
        cost: metrics/cost.json, likewise.
        evaluation: the file with its scores test by test.
        digest: of that file.
        baseline: likewise, of the model before training; None where it was not scored, or where the
            file is gone.
        outputs: what its stages have written, and DVC's sums of it, a folder's with `.dir`: of
            stages that ran with the settings of its plan; empty where unrecorded.
        cache: the folder of DVC's cache for md5 sums, where they are.
        out: the folder of the run's outputs, where they lie beside the cache; the sums tell whether
            what is there is the run's own.
        state: `finished`, `running`, `queued`, `failed`, or `incomplete`.
        problem: why it cannot be compared, as the end of a sentence; None where it can.
    """

    name: str
    method: str | None = None
    budget: int | str | None = None
    seed: int | None = None
    model: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None
    evaluation: Path | None = None
    digest: str = ""
    baseline: Path | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    cache: Path | None = None
    out: Path | None = None
    state: str = "finished"
    problem: str | None = None

    @property
    def flops(self) -> float | None:
        """FLOPs of selection and training, counted from the real tokens."""
        return self.cost["flops"]["tokens"]["total"] if self.cost else None

    @property
    def seconds(self) -> float | None:
        """Seconds of all stages but the two that score a model."""
        spent = (self.cost or {}).get("seconds", {})
        noted = [value for stage, value in spent.items() if stage not in ("eval", "baseline")]
        return sum(noted) if noted and None not in noted else None


def recorded_run(name: str, files: Files, cache: Path, home: Path | None = None) -> Run:
    """A run from its files.

    Args:
        name: what the user calls it.
        files: path → content at the run's revision; None where there is none.
        cache: the folder of DVC's cache for md5 sums.
        home: the folder of a run that lies in the workspace, whose evaluation may not be cached.

    Raises:
        InputError: a file is not JSON or YAML.
    """
    plan = parsed_json(name, PLAN, files)
    if plan is None or files[LOCK] is None:
        missing = LOCK if plan else PLAN
        problem = f"no run is recorded there: no {missing}. Run `dvc repro` first"
        return Run(name, state="incomplete", problem=problem)
    stages = parsed_yaml(name, LOCK, files).get("stages", {})
    section = plan.get("eval") or {}
    if "run" not in section or "model" not in section:
        problem = f"its {PLAN} is not one of this version. Run `dvc repro` there"
        return Run(name, state="incomplete", problem=problem)
    model = section["model"]
    run = Run(
        name,
        **section["run"],
        model=tuple(str(model[key]) for key in ("name", "revision", "md5") if model.get(key)),
        settings=flat({stage: plan.get(stage) for stage in STAGES}),
    )
    stage, outputs = finished_stages(stages, plan)
    run = replace(run, outputs=outputs, cache=cache, out=home and home / "out")
    if stage:
        problem = f"its stage {stage} has not run with its settings. Run `dvc repro` there"
        return replace(run, state="incomplete", problem=problem)
    digest = outputs[EVALUATION]
    run = replace(run, digest=digest, scores=_own_metrics(name, SCORES, files, stages, "eval"))
    run = replace(run, baseline=stored(BASELINE, outputs, cache, home))
    if _deps(stages, "cost").get(SCORES) == _outs(stages, "eval").get(SCORES):
        run = replace(run, cost=_own_metrics(name, COST, files, stages, "cost"))
    if path := stored(EVALUATION, outputs, cache, home):
        return replace(run, evaluation=path)
    return replace(
        run,
        problem=f"its evaluation is gone from DVC's cache. {BRING}",
    )


def finished_stages(
    stages: dict[str, Any], plan: dict[str, Any]
) -> tuple[str | None, dict[str, str]]:
    """The first stage whose last run had other settings, or other inputs, than the plan's run has.

    Args:
        stages: those of dvc.lock.
        plan: what is to be run.

    Returns:
        The stage, None where all have run; and what those before it, and `baseline`, have written:
        path → md5 sum.
    """
    made: dict[str, str] = {}
    unfinished = None
    for stage in STAGES:
        if not _has_run(stage, stages, plan, made):
            unfinished = stage
            break
        made |= _outs(stages, stage)
    if unfinished is None and EVALUATION not in made:
        unfinished = "eval"
    if _has_run("baseline", stages, plan, made):
        made |= _outs(stages, "baseline")
    return unfinished, made


def _has_run(
    stage: str, stages: dict[str, Any], plan: dict[str, Any], made: dict[str, str]
) -> bool:
    """Whether a stage's last run had the plan's settings, and what was made as its inputs."""
    params = stages.get(stage, {}).get("params", {}).get(PLAN, {})
    if params.get(stage) != plan.get(stage):
        return False
    return all(made.get(path, digest) == digest for path, digest in _deps(stages, stage).items())


def flat(settings: Any, place: str = "") -> dict[str, Any]:
    """Nested settings as `block.key` → value."""
    if not isinstance(settings, dict) or not settings:
        return {place: settings}
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{place}.{key}" if place else str(key))
    return found


def planned_run(name: str, params: bytes | None, state: str, problem: str) -> Run:
    """A run that has not finished: what its params.yaml says of it."""
    given = parsed_yaml(name, PARAMS, {PARAMS: params}) if params else {}
    budget = given.get("budget")
    if isinstance(budget, dict):
        budget = f"{budget.get('tokens')} tokens"
    seed = given.get("seed", 0)
    return Run(name, given.get("method"), budget, seed, state=state, problem=problem)


def _own_metrics(
    name: str, path: str, files: Files, stages: dict[str, Any], stage: str
) -> dict[str, Any] | None:
    """A file of metrics where it is what the run's stage has written, and no other run's."""
    content = files[path]
    if content is None or _outs(stages, stage).get(path) != md5(content):
        return None
    return parsed_json(name, path, files)


def _outs(stages: dict[str, Any], stage: str) -> dict[str, str]:
    outs = stages.get(stage, {}).get("outs", [])
    return {out["path"]: out["md5"] for out in outs if "md5" in out}


def _deps(stages: dict[str, Any], stage: str) -> dict[str, str]:
    deps = stages.get(stage, {}).get("deps", [])
    return {dep["path"]: dep["md5"] for dep in deps if "md5" in dep}


def parsed_json(name: str, path: str, files: Files) -> Any:
    """A file of JSON; None where there is none.

    Raises:
        InputError: it is not JSON.
    """
    content = files[path]
    try:
        return None if content is None else json.loads(content)
    except ValueError:
        raise InputError(f"{name}: {path} is not JSON. Run `dvc repro` there again.") from None


def parsed_yaml(name: str, path: str, files: Files) -> dict[str, Any]:
    """A file of YAML, read as DVC reads it; {} where it holds nothing.

    Raises:
        InputError: it is not YAML.
    """
    from ruamel.yaml import YAML, YAMLError

    try:
        found = YAML(typ="safe").load(files[path] or b"")
    except (YAMLError, ValueError):
        raise InputError(f"{name}: {path} is not YAML. Fix it, or leave the run out.") from None
    return found if isinstance(found, dict) else {}
