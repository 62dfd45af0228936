"""params × methods → plan: what every stage will do, settled before anything costs.

`plan.json` has one section a stage. A section holds nothing that its stage does not need, so that
DVC runs a stage again only when something changed for it: its settings, the content of the files
it reads from outside, or the code of the feature, scorer or aggregator it was given.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from annotated_types import Ge, Lt

from dataselect import evaluation, fingerprint, kinds, model, training
from dataselect.errors import InputError, did_you_mean
from dataselect.settings import bind, function, keywords, room

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
    chosen = _settings(params)
    name, seed = params["method"], chosen["seed"]
    method = bind(_method, _pick(methods, name), f"methods.yaml: {name}")
    looker = _model(chosen["model"])
    features = _rooms("features", method["features"], name, seed)
    scorer = _rooms("scorers", method["scorer"], name, seed, groups=chosen["groups"])
    aggregator = _rooms("aggregators", method["aggregator"], name, seed)
    _check_fit(features, scorer, name)
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
        "embed": _embed(features, looker, _needs_queries(scorer)),
        "score": {"scorer": scorer},
        "aggregate": {"aggregator": aggregator, "budget": chosen["budget"]},
        "train": {"model": looker, **chosen["train"]},
        "eval": {"model": looker, **chosen["eval"]},
    }


def read(path: str | Path) -> Section:
    """Reads a YAML file of settings.

    Raises:
        InputError: it is not there, not YAML, or not settings by name.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8-sig"), _Loader)
    except OSError as error:
        reason = f"{error.strerror} (looked from {Path.cwd()})"
        raise InputError(f"{path}: cannot be read: {reason}. Expected a YAML file.") from None
    except (yaml.YAMLError, ValueError) as error:  # not UTF-8, or a date that is none
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not YAML: {reason}. Mend the file there.") from None
    if not isinstance(content, dict):
        found = f"{content!r:.60}"
        raise InputError(f"{path}: expected lines of `name: value`, found {found}. Add them.")
    return content


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: 1e-3 is a number, as in YAML 1.2; a name stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in names:
                place = f"line {key.start_mark.line + 1}"
                raise yaml.YAMLError(f"`{key.value}` stands twice, again in {place}")
            names.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _source(*, path: str | list[str]) -> None:
    """The schema of `queries` and `tests`."""


def _pool(*, path: str | list[str], on_bad_row: Literal["error", "drop"] = "error") -> None:
    """The schema of `pool`."""


def _method(*, features: dict | str | None, scorer: dict | str, aggregator: dict | str) -> None:
    """The schema of a method in methods.yaml."""


def _choices(
    *,
    tasks: Literal["all"] | list[str] = "all",
    budget: Any,  # see budget
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0,
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
    if not isinstance(name, str) or name not in methods:
        known = did_you_mean(name, methods)
        raise InputError(f"params.yaml: method: no method is called `{name}`. {known}")
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
        chosen[name] = bind(schema, params.get(name), f"params.yaml: {name}")
    if "seed" not in (params.get("train") or {}):
        chosen["train"]["seed"] = chosen["seed"]
    _fit(chosen)
    return chosen


def _fit(chosen: Section) -> None:
    """What no type says, but what would end a run after hours."""
    train, evaluate = chosen["train"], chosen["eval"]
    if train["batch_size"] % train["micro_batch_size"]:
        raise InputError(
            f"params.yaml: train.batch_size: expected a multiple of train.micro_batch_size "
            f"({train['micro_batch_size']}); found {train['batch_size']}. Mend either there."
        )
    most = chosen["model"]["max_tokens"]
    if evaluate["max_new_tokens"] >= most:
        raise InputError(
            f"params.yaml: eval.max_new_tokens: expected fewer than model.max_tokens ({most}), "
            f"which hold the prompt too; found {evaluate['max_new_tokens']}. Mend either there."
        )
    for task, kind in evaluate["kinds"].items():
        kinds.check(kind, f"params.yaml: eval.kinds.{task}")


def budget(given: Any) -> int | str:
    """A number of rows, or a share of the pool as `"5%"`.

    Raises:
        InputError: it is neither, or not above 0.
    """
    wrong = InputError(
        "params.yaml: budget: expected a whole number of rows above 0, or a share of the pool "
        f'above 0% and at most 100%, like "5%"; found {given!r:.60}. Mend it there.'
    )
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return given
    if not isinstance(given, str) or not given.endswith("%"):
        raise wrong
    try:
        share = float(given.removesuffix("%"))
    except ValueError:
        raise wrong from None
    if not 0 < share <= 100:
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
    if folder == "features" and given in (None, "none"):
        return None
    where = f"methods.yaml: {method}: {folder}"
    if isinstance(given, str):
        given = {given: {}}
    if len(given) != 1:
        found = f"{given!r:.60}"
        raise InputError(f"{where}: expected one name with its settings, found {found}. Name one.")
    ((name, settings),) = given.items()
    of = function(folder, name, where)
    offered = {k: v for k, v in {"seed": seed, **params}.items() if k in keywords(of)}
    if settings is None or isinstance(settings, dict):
        settings = offered | (settings or {})
    code = fingerprint.md5s([str(inspect.getsourcefile(of))])[0]
    return {"name": name, "settings": bind(of, settings, f"{where}: {name}"), "code": code}


def _check_fit(features: Section | None, scorer: Section | None, method: str) -> None:
    """What a scorer looks at must be what the features give."""
    if scorer is None:
        return
    looks = getattr(room("scorers", scorer["name"], ""), "needs", lambda **settings: ())
    given: tuple[str, ...] = ()
    if features is not None:
        given = room("features", features["name"], "").gives(**features["settings"])
    for name in looks(**scorer["settings"]):
        if name not in given:
            there = did_you_mean(name, given) if given else "There are no features."
            raise InputError(
                f"methods.yaml: {method}: the scorer `{scorer['name']}` looks at `{name}`, which "
                f"its features do not give. {there} Name others under `features`."
            )


def _needs_queries(scorer: Section | None) -> bool:
    return scorer is not None and "groups" in scorer["settings"]


def _embed(features: Section | None, looker: Section, needs_queries: bool) -> Section:
    if features is None:
        return {"features": None}
    return {"features": features, "model": looker, "queries": needs_queries}
