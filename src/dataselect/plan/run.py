"""params × methods → plan: what every stage will do, settled before anything costs.

`plan.json` has one section a stage. A section holds nothing that its stage does not need, so that
DVC runs a stage again only when something changed for it: its settings, the content of the files
it reads from outside, or the code of the feature, scorer or aggregator it was given.
"""

from __future__ import annotations

import re
from inspect import getsourcefile, signature
from typing import Any

from dataselect.compute.memory import memory_bytes
from dataselect.data import fingerprint
from dataselect.errors import InputError, did_you_mean
from dataselect.models.load import is_folder, model_settings
from dataselect.plan.params import TOP, Section, _known_keys, _Loader, _method, _pick, _settings
from dataselect.settings import check_settings, part_function, part_module, said, settings_of

TOP += ("selector_model", "engine")


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
    method = check_settings(_method, _pick(methods, name), f"methods.yaml: {name}")
    trained = _known(chosen["model"], "model")
    offered = {"seed": seed, "groups": chosen["groups"], "budget": chosen["budget"]}
    fits = {name: chosen["train"][name] for name in ("micro_batch_size", "processes")}
    reference, features, scorer, aggregator = (
        _rooms(folder, method[word], name, offered | (fits if word == "reference" else {}))
        for word, folder in WORDS.items()
    )
    _check_fit(reference, features, scorer, name)
    needs_queries = scorer is not None and "groups" in scorer["settings"]
    if needs_queries and not chosen["queries"]:
        raise InputError(
            f"params.yaml: queries: the method `{name}` scores rows against queries, and none are "
            "given. Add `queries: {path: …}`, or choose a method that looks at none."
        )
    looker = _looker(params, method["model"], name)
    text = {k: trained[k] for k in ("name", "revision", "md5", "chat", "max_tokens")}
    text["trust_remote_code"] = trained["trust_remote_code"]
    return {
        "dedup": {
            "pool": fingerprint.matching_files(chosen["pool"]["path"], "pool.path"),
            "on_bad_row": chosen["pool"]["on_bad_row"],
            "queries": _files(chosen["queries"], "queries.path"),
            "tests": fingerprint.matching_files(chosen["tests"]["path"], "tests.path"),
            "tasks": chosen["tasks"],
            "query_tasks": _query_tasks(chosen),
            "model": text,
        },
        "reference": _reference(reference, looker, chosen["train"]["threads"]),
        "embed": _embed(features, looker, needs_queries, bool(reference)),
        "score": {"scorer": scorer},
        "aggregate": {"aggregator": aggregator, "budget": chosen["budget"]},
        "train": {"model": trained, **chosen["train"]},
        "eval": {"model": trained, "run": _run(params, chosen), **chosen["eval"]},
        # No stage depends on it: where the work runs changes results by rounding at most.
        "engine": engine(params.get("engine", "local")),
    }


def engine(given: Any) -> Section:
    """Where the work runs: a name, or one name with its settings.

    Raises:
        InputError: there is no such engine, or no such setting.
    """
    where = "params.yaml: engine"
    name, settings = _named(given, where)
    of = part_function("compute", name, where)
    bound = check_settings(of, settings, f"{where}.{name}")
    if bound.get("memory") is not None:
        memory_bytes(bound["memory"])
    return {"name": name, "settings": bound}


def _named(given: Any, where: str) -> tuple[str, Any]:
    """`name`, or `{name: settings}`."""
    if isinstance(given, str):
        given = {given: {}}
    if not isinstance(given, dict) or len(given) != 1:
        found = f"{given!r:.60}"
        raise InputError(f"{where}: expected one name with its settings, found {found}. Name one.")
    ((name, settings),) = given.items()
    return name, settings


def _run(params: Section, chosen: Section) -> Section:
    """What a run is called: its scores say so, since a later plan may be another's."""
    return {"method": params["method"], "budget": chosen["budget"], "seed": chosen["seed"]}


def looked_with(sections: dict[str, Section]) -> list[Section]:
    """The models that a plan trains and looks with, each once."""
    models = [sections[of].get("model") for of in ("train", "embed", "reference")]
    return list({one["name"]: one for one in models if one}.values())


#: What methods.yaml says of a method, and the folder that each word names a file of.
WORDS = {
    "reference": "reference",
    "features": "embed",
    "scorer": "score",
    "aggregator": "aggregate",
}


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _files(block: Section | None, where: str) -> list[fingerprint.File]:
    return fingerprint.matching_files(block["path"], where) if block else []


def _query_tasks(chosen: Section) -> str | list[str]:
    said = chosen["queries"]["tasks"] if chosen["queries"] else "same"
    return chosen["tasks"] if said == "same" else said


def _known(settings: Section, where: str) -> Section:
    """A model's section: a local folder is known by its content, a hub's by its revision."""
    local = is_folder(settings["name"], where)
    return {**settings, "md5": fingerprint.folder_hash(settings["name"]) if local else None}


def _looker(params: Section, own: Section | None, method: str) -> Section:
    """The model that looks at the rows: `model`, else `selector_model`, else the method's own.

    Each says only what it changes; where it names another model, what belongs to the one before
    (revision, chat template, remote code) does not go over.
    """
    layers = {
        "model": params["model"],
        "selector_model": params.get("selector_model"),
        f"methods.yaml: {method}: model": own,
    }
    answer, before, said = params["model"], params["model"], "model"
    for where, layer in layers.items():
        if layer is None:
            continue
        kept = answer
        if isinstance(layer, dict) and "name" in layer:
            kept = {k: v for k, v in answer.items() if k in ("dtype", "max_tokens")}
            said = where
        bound = {**kept, **layer} if isinstance(layer, dict) else layer
        before = answer
        answer = check_settings(
            model_settings, bound, where if ":" in where else f"params.yaml: {where}"
        )
    if own and "max_tokens" in own:  # the method's limit lifts none of the user's
        answer["max_tokens"] = min(own["max_tokens"], before["max_tokens"])
    return _known(answer, said)


def _rooms(folder: str, given: Any, method: str, params: Section) -> Section | None:
    """What methods.yaml says of a part of a method, checked against its function's signature.

    What comes from params.yaml is handed only to a function that asks for it.
    """
    if folder in ("reference", "embed") and given in (None, "none"):
        return None
    word = next(word for word, of in WORDS.items() if of == folder)
    where = f"methods.yaml: {method}: {word}"
    name, settings = _named(given, where)
    of = part_function(folder, name, where)
    offered = {k: v for k, v in params.items() if k in settings_of(of)}
    if settings is None or isinstance(settings, dict):
        settings = offered | (settings or {})
    code = fingerprint.file_hashes([str(getsourcefile(of))])[0]
    return {
        "name": name,
        "settings": check_settings(of, settings, f"{where}: {name}"),
        "code": code,
    }


def _check_fit(
    reference: Section | None, features: Section | None, scorer: Section | None, method: str
) -> None:
    """What a scorer looks at must be what the features give, and they must have what they need."""
    where = f"methods.yaml: {method}: "
    fits = part_module("reference", reference["name"], "").FITS if reference else None
    given: tuple[str, ...] = ()
    if features is not None:
        of = part_module("embed", features["name"], "")
        given = of.gives(**features["settings"])
        wanted = getattr(of, "LOOKS_WITH", None) or (fits and "models")
        if wanted != fits:
            found = f"`{reference['name']}` fits {fits}" if reference else "there is none"
            raise InputError(
                f"{where}the features `{features['name']}` look with the {wanted} that a reference "
                f"fits; {found}. Name another under `reference`."
            )
    elif reference is not None:
        raise InputError(f"{where}a reference, but no features to look with it. Leave it out.")
    for name in said("score", scorer, "needs") if scorer else ():
        if name not in given:
            there = did_you_mean(name, given) if given else "There are no features."
            raise InputError(
                f"{where}the scorer `{scorer['name'] if scorer else ''}` looks at `{name}`, which "
                f"its features do not give. {there} Name others under `features`."
            )


def _reference(reference: Section | None, looker: Section, threads: int | None) -> Section:
    return {"reference": reference, "model": looker, "threads": threads} if reference else {}


def _embed(
    features: Section | None, looker: Section | None, needs_queries: bool, reference: bool
) -> Section:
    if features is None:
        return {"features": None}
    of = part_function("embed", features["name"], "")
    model_ = {"model": looker} if "model" in signature(of).parameters else {}
    return {"features": features, **model_, "queries": needs_queries, "reference": reference}
