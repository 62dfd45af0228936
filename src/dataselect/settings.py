"""Checks settings against a function's signature: the signature is the schema."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Annotated, Any

from annotated_types import Ge, Lt

from dataselect.errors import InputError, did_you_mean

PositiveInt = Annotated[int, Ge(1)]
Fraction = Annotated[float, Ge(0), Lt(1)]


def part_module(folder: str, name: str, where: str) -> ModuleType:
    """The module `dataselect.<folder>.<name>`; a file is a room, its name the key in methods.yaml.

    Raises:
        InputError: there is no such file in the folder.
    """
    package = importlib.import_module(f"dataselect.{folder}")
    names = sorted(p.stem for path in package.__path__ for p in _modules(path))
    if name not in names:
        known = did_you_mean(name, names)
        raise InputError(f"{where}: no {folder[:-1]} is called `{name}`. {known}")
    return importlib.import_module(f"dataselect.{folder}.{name}")


def _modules(folder: str) -> list[Any]:
    from pathlib import Path

    return [p for p in Path(folder).glob("*.py") if not p.stem.startswith("_")]


def part_function(folder: str, name: str, where: str) -> Callable[..., Any]:
    """The function that a room is named for."""
    return getattr(part_module(folder, name, where), name)


def said(folder: str, part: Mapping[str, Any], what: str, otherwise: Any = (), **more: Any) -> Any:
    """What a part's file says of it under its settings by a function `what`, if it has one."""
    answer = getattr(part_module(folder, part["name"], ""), what, lambda **settings: otherwise)
    return answer(**part["settings"], **more)


def settings_of(of: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """A function's keyword-only parameters: its settings."""
    parameters = inspect.signature(of).parameters.values()
    return {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def check_settings(
    of: Callable[..., Any], given: Mapping[str, Any] | None, where: str
) -> dict[str, Any]:
    """The settings of `of`, checked and completed with its defaults.

    Raises:
        InputError: an unknown or missing name, or a value of the wrong type or range.
    """
    if given is not None and not isinstance(given, Mapping):
        raise InputError(
            f"{where}: expected settings by name, like `name: value`; found {given!r:.60}. "
            "See the README for what there is."
        )
    given = dict(given or {})
    names = settings_of(of)
    for name in given:
        if name not in names:
            found = f"{where}: unknown setting `{name}`. "
            raise InputError(found + (did_you_mean(name, names) if names else "It has none."))
    from pydantic import ValidationError

    try:
        checked = _model(of)(**given)
    except ValidationError as error:
        wrong: dict[str, list[Any]] = {}  # a union has an error for each of its members
        for one in error.errors():
            wrong.setdefault(str(one["loc"][0]), []).append(one)
        told = (_say(where, name, errors, given.get(name)) for name, errors in wrong.items())
        raise InputError("\n".join(told)) from None
    return {name: getattr(checked, name) for name in names}


@cache
def _model(of: Callable[..., Any]) -> Any:
    from pydantic import ConfigDict, create_model

    fields: dict[str, Any] = {}
    for name, parameter in settings_of(of).items():
        annotation = parameter.annotation
        if isinstance(annotation, str):  # one by one: others may name types imported only to check
            annotation = eval(annotation, inspect.getmodule(of).__dict__)
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (annotation, default)
    strict = ConfigDict(strict=True, protected_namespaces=(), allow_inf_nan=False)
    return create_model(getattr(of, "__name__", "settings"), __config__=strict, **fields)


def _say(where: str, name: str, errors: list[Any], found: Any) -> str:
    place = f"{where}: {name}" if where.endswith(".yaml") else f"{where}.{name}"
    if errors[0]["type"] == "missing":
        return f"{place}: missing. Add it; see the README."
    # Of a union's members, the one that got as far as an item is the one that was meant.
    meant = [error for error in errors if _item(error)] or errors
    expected = " or ".join(dict.fromkeys(_expected(error) for error in meant))
    return f"{place}: expected {expected}; found {found!r:.80}. Mend it there."


def _expected(error: Any) -> str:
    text = error["msg"].removeprefix("Input should be ")
    return f"{text} as item {_item(error)}" if _item(error) else text


def _item(error: Any) -> int | None:
    """Which item of a list is wrong, from 1; None where the whole is."""
    # The first part of a location is the setting; a union's member or an index may follow.
    return next((part + 1 for part in error["loc"][1:] if isinstance(part, int)), None)
