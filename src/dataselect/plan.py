"""params × methods → plan: what every stage will do, settled before anything costs.

`plan.json` has one section a stage. A section holds nothing that its stage does not need, so that
DVC runs a stage again only when something changed for it: its settings, the content of the files
it reads from outside, or the code of the feature, scorer or aggregator it was given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import yaml

from dataselect import evaluation, fingerprint, model, training
from dataselect.errors import InputError, did_you_mean
from dataselect.settings import bind, function, keywords

Section = dict[str, Any]
TOP = ("pool", "queries", "tests", "tasks", "method", "budget", "seed", "model", "groups")


def plan(params: Section, methods: Section) -> dict[str, Section]:
    """One section a stage: dedup, reference, embed, score, aggregate, train, eval.

    Args:
        params: params.yaml.
        methods: methods.yaml.

    Raises:
        InputError: whatever is wrong with either, or a file that is not there.
    """
    _known_keys(params)
    method = bind(_method, _pick(methods, params["method"]), f"methods.yaml: {params['method']}")
    chosen = _settings(params)
    name, seed = params["method"], chosen["seed"]
    looker = _model(chosen["model"])
    features = _rooms("features", method["features"], name, seed)
    scorer = _rooms("scorers", method["scorer"], name, seed, groups=chosen["groups"])
    aggregator = _rooms("aggregators", method["aggregator"], name, seed)
    needs_queries = _needs_queries(scorer)
    text = {k: looker[k] for k in ("name", "revision", "md5", "chat", "max_tokens")}
    text["trust_remote_code"] = looker["trust_remote_code"]
    return {
        "dedup": {
            "pool": fingerprint.files(chosen["pool"]["path"], "pool.path"),
            "on_bad_row": chosen["pool"]["on_bad_row"],
            "queries": fingerprint.files(chosen["queries"]["path"], "queries.path"),
            "tests": fingerprint.files(chosen["tests"]["path"], "tests.path"),
            "tasks": chosen["tasks"],
            "model": text,
        },
        "reference": {},
        "embed": _embed(features, looker, needs_queries),
        "score": {"scorer": scorer},
        "aggregate": {"aggregator": aggregator, "budget": chosen["budget"]},
        "train": {"model": looker, "seed": seed, **chosen["train"]},
        "eval": {"model": looker, **chosen["eval"]},
    }


def read(path: str | Path) -> Section:
    """Reads a YAML file of settings.

    Raises:
        InputError: it is not there, not YAML, or not settings by name.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path}: no such file (looked from {Path.cwd()}).") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected settings by name, found {type(content).__name__}.")
    return content


def _source(*, path: str | list[str]) -> None:
    """The schema of `queries` and `tests`."""


def _pool(*, path: str | list[str], on_bad_row: Literal["error", "drop"] = "error") -> None:
    """The schema of `pool`."""


def _method(
    *, features: dict | str | None, scorer: dict | str, aggregator: dict | str
) -> None:
    """The schema of a method in methods.yaml."""


def _choices(
    *,
    tasks: Literal["all"] | list[str] = "all",
    budget: int | str,
    seed: int = 0,
    groups: Literal["auto", "queries", "tasks"] = "auto",
) -> None:
    """The schema of what stands at the top of params.yaml."""


def _known_keys(params: Section) -> None:
    known = [*TOP, "train", "eval"]
    for name in params:
        if name not in known:
            raise InputError(f"params.yaml: unknown key `{name}`. {did_you_mean(name, known)}")
    for name in ("pool", "queries", "tests", "method", "budget", "model"):
        if params.get(name) is None:
            raise InputError(f"params.yaml: `{name}` is missing. Add it; see the README.")


def _pick(methods: Section, name: Any) -> Section:
    if name not in methods:
        raise InputError(f"method: no method is called `{name}`. {did_you_mean(name, methods)}")
    return methods[name]


def _settings(params: Section) -> Section:
    top = {k: params[k] for k in ("tasks", "budget", "seed", "groups") if k in params}
    chosen = bind(_choices, top, "params.yaml")
    chosen["budget"] = budget(chosen["budget"])
    if chosen["tasks"] == []:
        raise InputError("tasks: an empty list. Name at least one task, or set `tasks: all`.")
    blocks: dict[str, Callable[..., Any]] = {
        "pool": _pool,
        "queries": _source,
        "tests": _source,
        "model": model.settings,
        "train": training.train,
        "eval": evaluation.evaluate,
    }
    for name, schema in blocks.items():
        chosen[name] = bind(schema, params.get(name), name)
    return chosen


def budget(given: int | str) -> int | str:
    """A number of rows, or a share of the pool as `"5%"`.

    Raises:
        InputError: it is neither, or not above 0.
    """
    wrong = InputError(
        f"budget: {given!r}: expected a number of rows above 0, or a share of the pool above 0% and "
        'at most 100%, like "5%". Set `budget` in params.yaml.'
    )
    if isinstance(given, int):
        if given <= 0:
            raise wrong
        return given
    try:
        share = float(given.removesuffix("%"))
    except ValueError:
        raise wrong from None
    if not given.endswith("%") or not 0 < share <= 100:
        raise wrong
    return given


def _model(settings: Section) -> Section:
    """The model's section: a local folder is known by its content, a hub's by its revision."""
    local = model.is_folder(settings["name"])
    return {**settings, "md5": fingerprint.folder(settings["name"]) if local else None}


def _rooms(folder: str, given: Any, method: str, seed: int, **params: Any) -> Section | None:
    """What methods.yaml says of a part of a method, checked against its function's signature.

    `seed` and what else comes from params.yaml is handed only to a function that asks for it.
    """
    if given in (None, "none"):
        return None
    where = f"methods.yaml: {method}: {folder}"
    if isinstance(given, str):
        given = {given: {}}
    if len(given) != 1:
        raise InputError(f"{where}: expected one name with its settings, found {given!r}.")
    ((name, settings),) = given.items()
    of = function(folder, name, where)
    offered = {"seed": seed, **params}
    settings = {**{k: v for k, v in offered.items() if k in keywords(of)}, **(settings or {})}
    code = fingerprint.md5s([str(inspect.getsourcefile(of))])[0]
    return {"name": name, "settings": bind(of, settings, f"{where}: {name}"), "code": code}


def _needs_queries(scorer: Section | None) -> bool:
    return scorer is not None and "groups" in scorer["settings"]


def _embed(features: Section | None, looker: Section, needs_queries: bool) -> Section:
    if features is None:
        return {"features": None}
    return {"features": features, "model": looker, "queries": needs_queries}
