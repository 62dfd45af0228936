"""Reads the file of a sweep, and lists the runs that it stands for."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from dataselect.data.budget import Budget, parse_budget
from dataselect.errors import InputError
from dataselect.plan.params import read_yaml
from dataselect.settings import check_settings

#: Keys of params.yaml that a sweep lists, and the name of its own list.
LISTED = {"method": "methods", "budget": "budgets", "seed": "seeds", "tasks": "tasks"}

#: What the name of an experiment may have; git refuses some of the rest.
NAME = re.compile(r"[A-Za-z0-9][\w+%-]*(?:\.[\w+%-]+)*")


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """The file of a sweep.

    Attributes:
        name: the first part of the experiments' names; null: the file's own name.
        methods: keys of methods.yaml.
        budgets: as `budget` in params.yaml; left out, that one.
        seeds: as `seed`; left out, that one.
        tasks: each is `all`, a task, or a list of tasks; left out, those of params.yaml.
        set: other settings of all runs, like `train.epochs: 1`.
    """

    name: str | None = None
    methods: list[str]
    budgets: list[Any] | None = None
    seeds: list[int] | None = None
    tasks: list[str | list[str]] | None = None
    set: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """A run of a sweep.

    Attributes:
        name: of its experiment.
        changes: what it changes of params.yaml, as `train.epochs` → value.
        place: where its tasks, budget and seed stand in the sweep's lists.
    """

    name: str
    method: str
    changes: dict[str, Any]
    place: tuple[int, int, int]


def read_members(path: Path, params: dict[str, Any]) -> list[Member]:
    """The runs that the file of a sweep stands for, in the order of its lists.

    Args:
        params: params.yaml, which says what the file leaves out.

    Raises:
        InputError: a mistake in the file.
    """
    raw = read_yaml(path)
    _check_lists(path, raw)
    settings = SweepSettings(**check_settings(SweepSettings, raw, str(path)))
    lists = {
        "method": settings.methods,
        "budget": _values(settings.budgets, params.get("budget")),
        "seed": _values(settings.seeds, params.get("seed", 0)),
        "tasks": _values(settings.tasks, params.get("tasks", "all")),
    }
    for key, values in lists.items():
        _check_list(f"{path}: {LISTED[key]}", values)
    for key, value in settings.set.items():
        first, _, below = key.partition(".")
        if first in LISTED:
            value = {below: value} if below else value
            raise InputError(
                f"{path}: set: `{first}` has a list of its own. Write `{LISTED[first]}: "
                f"[{_written(value)}]`, and remove it from `set`."
            )
    budgets = [_budget(f"{path}: budgets", value) for value in lists["budget"]]
    if len(set(budgets)) < len(budgets):
        raise InputError(f"{path}: budgets: the same twice. Remove one.")
    members = list(_members(settings, _prefix(path, settings.name), lists))
    if len({member.name for member in members}) < len(members):
        raise InputError(
            f"{path}: two runs would have one name, as with the tasks `a b` and `a_b`, or `a` and "
            "`[a]`. Remove one of them, or put it into a sweep of its own."
        )
    return members


def changed(params: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """params.yaml as a run has it."""
    params = copy.deepcopy(params)
    put(params, changes)
    return params


def put(params: MutableMapping[str, Any], changes: dict[str, Any]) -> None:
    """Sets `block.key` → value in settings, in place.

    Raises:
        InputError: a block is a plain value there.
    """
    for key, value in changes.items():
        block = params
        *blocks, last = key.split(".")
        for name in blocks:
            if block.get(name) is None:
                block[name] = {}
            block = block[name]
            if not isinstance(block, MutableMapping):
                raise InputError(
                    f"set: {key}: `{name}` of params.yaml is {block!r:.60}, which has no keys. "
                    f"Set `{name}` as a whole."
                )
        block[last] = copy.deepcopy(value)


def _check_lists(path: Path, given: Any) -> None:
    """Checks that what is to be listed is in lists."""
    for name in LISTED.values():
        value = given.get(name) if isinstance(given, dict) else None
        if value is not None and not isinstance(value, list):
            raise InputError(
                f"{path}: {name}: expected a list; found {value!r:.60}. Write "
                f"`[{_written(value)}]`."
            )


def _written(value: Any) -> str:
    """A value as it may stand in a list of YAML."""
    if isinstance(value, list):
        return f"[{', '.join(_written(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_written(item)}' for key, item in value.items())}}}"
    return str(value)


def _values(given: list[Any] | None, own: Any) -> list[Any]:
    return [own] if given is None else given


def _check_list(where: str, values: list[Any]) -> None:
    if not values:
        raise InputError(f"{where}: an empty list. Name at least one, or remove the key.")
    for number, value in enumerate(values):
        if value in values[:number]:
            raise InputError(f"{where}: {value!r:.60} stands there twice. Remove one.")


def _budget(where: str, value: Any) -> Budget:
    try:
        return parse_budget(value)
    except InputError as error:
        raise InputError(f"{where}: {str(error).removeprefix('params.yaml: budget: ')}") from None


def _prefix(path: Path, name: str | None) -> str:
    name = path.stem if name is None else name
    if not NAME.fullmatch(name) or name.endswith(".lock"):
        raise InputError(
            f"{path}: name: {name!r:.60}: expected letters, digits, `-`, `_`: the experiments' "
            "names begin with it. Set `name`."
        )
    return name


def _members(settings: SweepSettings, prefix: str, lists: dict[str, list[Any]]) -> Iterator[Member]:
    orders = (list(enumerate(lists[key])) for key in ("method", "tasks", "budget", "seed"))
    for (_, method), (t, tasks), (b, budget), (s, seed) in product(*orders):
        words = [prefix, _label(method), _label(budget), str(seed)]
        if len(lists["tasks"]) > 1:
            words.append(_label(tasks))
        own = {"method": method, "budget": budget, "seed": seed}
        if settings.tasks is not None:
            own["tasks"] = tasks if tasks == "all" or isinstance(tasks, list) else [tasks]
        yield Member("-".join(words), method, settings.set | own, (t, b, s))


def _label(value: Any) -> str:
    """A method, budget or tasks as a part of a name."""
    if isinstance(value, list):
        return "+".join(_label(name) for name in value)
    if isinstance(value, dict):
        value = "".join(str(part) for pair in value.items() for part in reversed(pair))
    return re.sub(r"[^\w+%-]", "_", str(value))
