"""Profiles: the papers' set-ups by name, made of a pool, tasks, a model, a method and a recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dataselect.errors import InputError, did_you_mean, option_errors
from dataselect.fetch.pools import NamedPool
from dataselect.plan.method import ChosenParts, choose_parts, method_entry
from dataselect.plan.params import check_params
from dataselect.plan.pools import FOLDER as POOLS
from dataselect.plan.pools import load_pool
from dataselect.plan.profile_names import FOLDER, profiles, read_settings
from dataselect.settings import check_settings
from dataselect.tasks import Task, load_task

METHODS = Path("methods.yaml")

#: The keys of the params.yaml that a profile stands for, in their order.
ORDER = ("pool", "near_duplicates", "decontaminate", "queries", "tests", "tasks", "method")
ORDER += ("budget", "seed", "groups", "mix", "model", "selector_model", "engine", "train", "eval")

#: The method that chooses equally from every source: the published clean-up of sources is its own.
BALANCED = "random_balanced"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A set-up: an entry of profiles/profiles.yaml.

    Attributes:
        about: what it is, in a line.
        pool: a name of remote/pools/, or a path to files that the user brings.
        tasks: the tasks whose tests are scored.
        queries: `same`: those tasks' queries; `none`; or the tasks whose queries are used.
        model: the model that is trained: a name of profiles/models.yaml, or one on the hub.
        selector: the model that measures rows, likewise; None: the same.
        method: a method of methods.yaml.
        budget: as in params.yaml.
        recipe: a name of profiles/recipes.yaml.
        params: further settings of params.yaml, which take the place of the recipe's.
        published: a table of profiles/published.yaml.
        row: its row; None: the method's.
    """

    about: str
    pool: str
    tasks: list[str]
    queries: Literal["same", "none"] | list[str] = "same"
    model: str
    selector: str | None = None
    method: str
    budget: int | str
    recipe: str
    params: dict[str, Any] | None = None
    published: str | None = None
    row: str | None = None


@dataclass(frozen=True)
class Composed:
    """A profile with all its parts.

    Attributes:
        name: the profile's.
        profile: the profile as it was asked for, with the user's changes.
        options: what the user changed, by option.
        params: the content of params.yaml.
        parts: of the method.
        pool: what remote/pools/ says of the pool; None for the user's own.
        models: what profiles/models.yaml says: name → `name`, `parameters` and `gated`.
        recipe: the recipe.
        tasks: every task that is used, by name.
    """

    name: str
    profile: Profile
    options: dict[str, Any]
    params: dict[str, Any]
    parts: ChosenParts
    pool: NamedPool | None
    models: dict[str, dict[str, Any]]
    recipe: dict[str, Any]
    tasks: dict[str, Task]


def compose(name: str, changes: dict[str, Any]) -> Composed:
    """A profile with its parts, and the params.yaml that it stands for.

    Args:
        changes: `method`, `budget`, `model`, `selector` in the place of the profile's, and `seed`;
            None: the profile's.

    Raises:
        InputError: no such profile, part or method; or parts that do not fit together.
    """
    entries = profiles()
    if name not in entries:
        near = did_you_mean(name, entries).partition("There are:")[0]
        raise InputError(f"no profile is called `{name}`. {near}`dataselect profile` lists them.")
    entry = check_settings(Profile, entries[name], f"{FOLDER / 'profiles.yaml'}: {name}")
    given = {key: value for key, value in changes.items() if value is not None}
    parts_given = {key: value for key, value in given.items() if key != "seed"}
    profile = replace(Profile(**entry), **parts_given)
    recipe = _part("recipes", profile.recipe)
    models = read_settings(FOLDER / "models.yaml")
    pool = None if "/" in profile.pool else load_pool(profile.pool, f"profile {name}")
    queries = profile.tasks if profile.queries == "same" else profile.queries
    queries = [] if queries == "none" else list(queries)
    tasks = {task: load_task(task, f"profile {name}") for task in [*profile.tasks, *queries]}
    with option_errors(given):
        params = _params(profile, recipe, models, pool, queries, tasks)
        params |= {"seed": given.get("seed", 0)}
        params = {key: params[key] for key in ORDER if key in params}
        parts = _check(name, params, tasks)
    exact = pool is not None and pool.rounded_to is None
    if exact and isinstance(profile.budget, int) and profile.budget > pool.rows:
        raise InputError(f"budget: {profile.budget:,} rows; the pool has {pool.rows:,}. Lower it.")
    options = {key: value for key, value in given.items() if value != entry.get(key, 0)}
    return Composed(name, profile, options, params, parts, pool, models, recipe, tasks)


def _part(kind: str, name: str) -> dict[str, Any]:
    """An entry of profiles/<kind>.yaml."""
    file = FOLDER / f"{kind}.yaml"
    entries = read_settings(file)
    if name not in entries:
        raise InputError(f"{file}: no entry is called `{name}`. {did_you_mean(name, entries)}")
    return entries[name]


def _model(name: str, models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The block of params.yaml for a model: by its name here, on the hub, or its folder's."""
    if name not in models and "/" not in name:
        raise InputError(
            f"no model is called `{name}`. {did_you_mean(name, models)} Or give a name "
            "on the hub, like `meta-llama/Llama-3.2-1B`, or a folder."
        )
    known = {model["name"]: model for model in models.values()} | models
    if known.get(name, {}).get("sentences"):
        raise InputError(
            f"`{name}` embeds sentences: it has no loss, and cannot be trained. Name a language "
            "model; a method such as embed_minilm names its sentence model itself."
        )
    return {"name": models[name]["name"] if name in models else name, "revision": None}


def _params(
    profile: Profile,
    recipe: dict[str, Any],
    models: dict[str, dict[str, Any]],
    pool: NamedPool | None,
    queries: list[str],
    tasks: dict[str, Task],
) -> dict[str, Any]:
    """The content of params.yaml, but for the seed."""
    path = f"{POOLS / profile.pool}.parquet" if pool else profile.pool
    sources = pool.sources if pool and profile.method == BALANCED else None
    params: dict[str, Any] = {
        "pool": {"path": path, **({"sources": sources} if sources else {})},
        "tests": {"from": list(profile.tasks)},
        "method": profile.method,
        "budget": profile.budget,
        "model": _model(profile.model, models),
    }
    if queries:
        others = {"tasks": "all"} if queries != profile.tasks else {}
        params["queries"] = {"from": queries, **others}
    if profile.selector:
        chat = {key: value for key, value in recipe["model"].items() if key == "chat"}
        params["selector_model"] = _model(profile.selector, models) | chat
    blocks = {key: value for key, value in recipe.items() if key != "about"}
    of_tasks = [task.settings for task in tasks.values()]
    for settings in (blocks, *of_tasks, _own_limit(profile, recipe), profile.params or {}):
        for key, value in settings.items():
            merged = params.get(key, {}) | value if isinstance(value, dict) else value
            params[key] = merged
    return params


def _own_limit(profile: Profile, recipe: dict[str, Any]) -> dict[str, Any]:
    """What lets a method's own model read more than the recipe's: its limit alone does not."""
    own = method_entry(read_settings(METHODS), profile.method).model or {}
    if "name" not in own or own.get("max_tokens", 0) <= recipe["model"]["max_tokens"]:
        return {}
    return {"selector_model": {"max_tokens": own["max_tokens"]}}


def _check(name: str, params: dict[str, Any], tasks: dict[str, Task]) -> ChosenParts:
    """Checks the settings, as far as it can be done before pool and tasks are there."""
    checked = check_params({k: v for k, v in params.items() if k not in ("queries", "tests")})
    method = params["method"]
    parts = choose_parts(method_entry(read_settings(METHODS), method), method, checked)
    queries = params.get("queries", {}).get("from", [])
    if parts.uses_queries and not queries:
        raise InputError(
            f"profile {name}: the method `{method}` scores rows against queries, and this profile "
            "has none. Choose a method that needs none, such as random."
        )
    if lacking := [task for task in queries if tasks[task].queries is None]:
        raise InputError(f"profile {name}: these tasks have no queries: {', '.join(lacking)}.")
    return parts
