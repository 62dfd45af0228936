"""The runs that a name stands for: of DVC's experiments, of git's revisions, in folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.compare import revisions
from dataselect.compare.outputs import cached_file, md5
from dataselect.compare.recorded import (
    BASELINE,
    FILES,
    PARAMS,
    SCORES,
    Files,
    Run,
    planned_run,
    recorded_run,
)
from dataselect.compare.revisions import Experiment
from dataselect.data import tables
from dataselect.errors import InputError, did_you_mean

WORKSPACE = "workspace"
EVALUATION = "evaluation.parquet"

#: Why an experiment that has not finished cannot be compared.
UNFINISHED = {
    "running": "it is running (where it was killed: docs/compare.md, `dvc queue kill`)",
    "queued": "it has not started: `dvc queue start` starts what is queued",
    "failed": "it failed: `dvc queue logs NAME` says why",
}


def all_runs() -> list[Run]:
    """HEAD, its experiments and the workspace, where there is a run; if it cannot be compared, why.

    Raises:
        InputError: the working directory is no DVC project in a git repository.
    """
    revisions.check_project()
    cache = cache_folder()
    head = revisions.resolve("HEAD")
    experiments = [e for e in revisions.experiments() if e.baseline == head]
    commits = [Experiment(revisions.head_name(), head, head, "finished")] if head else []
    found = [*_runs([*commits, *experiments], cache), _workspace(cache)]
    return [run for run in found if run.method is not None]  # settings alone are no run


def named_runs(names: list[str]) -> list[Run]:
    """The runs that were asked for.

    Args:
        names: of DVC's experiments, git's revisions, `workspace`, or folders that hold an
            evaluation.parquet.

    Raises:
        InputError: nothing has such a name, or it is no run that can be compared.
    """
    found: dict[str, Run] = {name: run for name in names if (run := _folder(name))}
    others = [name for name in dict.fromkeys(names) if name not in found]
    if others:
        found |= project_runs(others)
    for name in names:
        if problem := found[name].problem:
            raise InputError(f"{name}: {problem}.")
    return [found[name] for name in dict.fromkeys(names)]


def project_runs(names: list[str]) -> dict[str, Run]:
    """Runs of the project in the working directory by name, those that cannot be compared too.

    Args:
        names: of DVC's experiments, git's revisions, `workspace`; each once.

    Raises:
        InputError: nothing has such a name, or the working directory is no DVC project.
    """
    revisions.check_project()
    cache = cache_folder()
    found = {WORKSPACE: _workspace(cache)} if WORKSPACE in names else {}
    experiments = revisions.experiments()
    wanted = [_experiment(name, experiments) for name in names if name != WORKSPACE]
    return found | {run.name: run for run in _runs(wanted, cache)}


def cached_outputs(names: list[str]) -> dict[str, dict[str, Path]]:
    """The tables that runs have written, in DVC's cache: run → file in `out/` → where it lies.

    A file that is gone from the cache is named all the same.

    Args:
        names: of DVC's experiments or git's revisions; each once.

    Raises:
        InputError: nothing has such a name, or no stage of it has finished.
    """
    found: dict[str, dict[str, Path]] = {}
    cache = cache_folder()
    for name, run in project_runs(names).items() if names else ():
        if not run.outputs:
            raise InputError(f"{name}: {run.problem}.")
        found[name] = {
            Path(path).name: cached_file(cache, digest)
            for path, digest in run.outputs.items()
            if path.startswith("out/") and path.endswith(".parquet")
        }
    return found


def cache_folder() -> Path:
    """Where DVC keeps files by their md5 sum, by its own configuration.

    Raises:
        InputError: DVC cannot read its configuration.
    """
    from dvc.config import Config, ConfigError

    try:
        folder = Config(str(Path(".dvc").resolve()))["cache"].get("dir") or ".dvc/cache"
    except ConfigError as error:
        raise InputError(f".dvc/config or .dvc/config.local: {error}. Fix it.") from None
    return Path(folder) / "files" / "md5"


def find_revision(name: str) -> str:
    """The commit of an experiment or revision.

    Raises:
        InputError: nothing has such a name, or an experiment of it has not finished.
    """
    found = _experiment(name, revisions.experiments())
    if found.state != "finished":
        raise InputError(f"{name}: {UNFINISHED[found.state]}.")
    return found.revision


def _experiment(name: str, experiments: list[Experiment]) -> Experiment:
    """What git or DVC calls so; of experiments with one name, one that finished, that of HEAD."""
    same = [e for e in experiments if e.name == name]
    same = [e for e in same if e.state == "finished"] or same
    if len(same) > 1:
        head = revisions.resolve("HEAD")
        ours = [e for e in same if e.baseline == head] or same
        if len(ours) > 1:
            hashes = ", ".join(e.revision[:10] for e in ours)
            raise InputError(f"{name}: several experiments have this name. Name one of {hashes}.")
        same = ours
    if same:
        return same[0]
    if revision := revisions.resolve(name):
        return Experiment(name, revision, revision, "finished")
    if Path(name).is_dir():
        raise InputError(f"{name}: the folder holds no {EVALUATION}. Name one that does.")
    known = [WORKSPACE, *revisions.branches(), *(e.name for e in experiments)]
    raise InputError(f"no run is called `{name}`. {did_you_mean(name, dict.fromkeys(known))}")


def _runs(experiments: list[Experiment], cache: Path) -> list[Run]:
    contents = revisions.read_files([e.revision for e in experiments], FILES)
    return [
        recorded_run(e.name, files, cache)
        if e.state == "finished"
        else planned_run(e.name, files[PARAMS], e.state, UNFINISHED[e.state])
        for e, files in zip(experiments, contents, strict=True)
    ]


def _workspace(cache: Path) -> Run:
    files: Files = {
        path: Path(path).read_bytes() if Path(path).is_file() else None for path in FILES
    }
    return recorded_run(WORKSPACE, files, cache, Path())


def _folder(name: str) -> Run | None:
    """The run in a folder that holds an evaluation; the metrics beside it are its own."""
    folder = Path(name)
    beside = folder / "metrics"
    path = folder / EVALUATION
    if not path.is_file():
        path = folder / "out" / EVALUATION
    elif folder.resolve().name == "out":
        beside = folder.resolve().parent / "metrics"
    if not path.is_file():
        return None
    scores, cost = (_metrics(beside / file) for file in ("eval.json", "cost.json"))
    label = (scores or {}).get("run", {"method": folder.resolve().name, "budget": None, "seed": 0})
    run = Run(name, **label, cost=cost, evaluation=path, digest=md5(path.read_bytes()))
    before = path.with_name(Path(BASELINE).name)
    run = replace(run, baseline=before if before.is_file() else None, out=path.parent)
    if scores is not None:
        _check_scores(name, path, scores)
    return replace(run, scores=scores)


def _metrics(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text()) if path.is_file() else None
    except ValueError:
        raise InputError(f"{path}: not JSON. Remove it, or write the run again.") from None


def _check_scores(name: str, path: Path, scores: dict[str, Any]) -> None:
    """Refuses metrics that are another run's than the evaluation beside them."""
    from dataselect.eval.summary import summary

    stated, found = scores["mean"]["score"], summary(read_evaluation(name, path))["mean"]["score"]
    if stated != found:
        raise InputError(
            f"{name}: {SCORES} says a mean score of {stated}, but {path} has {found}: they are of "
            "two runs. Keep together what one run has written."
        )


def read_evaluation(name: str, path: Path) -> pl.DataFrame:
    """The table of a run's scores test by test.

    Raises:
        InputError: it cannot be read, or is no such table.
    """
    try:
        return tables.read("evaluation", path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{name}: {path} cannot be read: {reason}. Bring it again, or leave the run out."
        ) from None
