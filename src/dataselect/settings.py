"""Checks settings against a function's signature: the signature is the schema."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from dataselect.errors import InputError, did_you_mean


def room(folder: str, name: str, where: str) -> ModuleType:
    """The module `dataselect.<folder>.<name>`; a file is a room, its name the key in methods.yaml.

    Raises:
        InputError: there is no such file in the folder.
    """
    package = importlib.import_module(f"dataselect.{folder}")
    names = sorted(p.stem for path in package.__path__ for p in _modules(path))
    if name not in names:
        raise InputError(f"{where}: no {folder[:-1]} is called `{name}`. {did_you_mean(name, names)}")
    return importlib.import_module(f"dataselect.{folder}.{name}")


def _modules(folder: str) -> list[Any]:
    from pathlib import Path

    return [p for p in Path(folder).glob("*.py") if not p.stem.startswith("_")]


def function(folder: str, name: str, where: str) -> Callable[..., Any]:
    """The function that a room is named for."""
    return getattr(room(folder, name, where), name)


def keywords(of: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """A function's keyword-only parameters: its settings."""
    parameters = inspect.signature(of).parameters.values()
    return {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def bind(of: Callable[..., Any], given: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    """The settings of `of`, checked and completed with its defaults.

    Raises:
        InputError: an unknown or missing name, or a value of the wrong type or range.
    """
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"{where}: expected settings by name, found {given!r}.")
    given = dict(given or {})
    names = keywords(of)
    for name in given:
        if name not in names:
            found = f"{where}: unknown setting `{name}`. "
            raise InputError(found + (did_you_mean(name, names) if names else "It has none."))
    from pydantic import ValidationError

    try:
        checked = _model(of)(**given)
    except ValidationError as error:
        raise InputError("\n".join(_say(where, one) for one in error.errors())) from None
    return {name: getattr(checked, name) for name in names}


@cache
def _model(of: Callable[..., Any]) -> Any:
    from pydantic import ConfigDict, create_model

    fields: dict[str, Any] = {}
    for name, parameter in keywords(of).items():
        annotation = parameter.annotation
        if isinstance(annotation, str):  # one by one: others may name types imported only to check
            annotation = eval(annotation, inspect.getmodule(of).__dict__)
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (annotation, default)
    strict = ConfigDict(strict=True, protected_namespaces=())
    return create_model(of.__name__, __config__=strict, **fields)


def _say(where: str, error: Any) -> str:
    # The first part of a location is the setting; what follows names a union's member or an index.
    name = ".".join(str(part) for part in error["loc"][:1])
    if error["type"] == "missing":
        return f"{where}: `{name}` is missing. Add it."
    expected = error["msg"].removeprefix("Input ").replace("should be", "expected", 1)
    return f"{where}.{name}: {expected}; found {error['input']!r}."
