"""Checks settings against a signature: a function's or dataclass's signature is their schema."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Lt

from dataselect.errors import InputError, did_you_mean

PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
Fraction = Annotated[float, Ge(0), Lt(1)]

T = TypeVar("T")


@dataclass(frozen=True, init=False)
class OnlyWith:
    """Marks a setting, in `Annotated`, as idle unless another of its block has one of some values.

    `lora_rank: Annotated[int, OnlyWith("method", "lora")]`: `check_settings` refuses a `lora_rank`
    that is given without `method: lora`, which would otherwise change nothing, and say nothing.
    """

    setting: str
    values: tuple[Any, ...]

    def __init__(self, setting: str, *values: Any) -> None:
        object.__setattr__(self, "setting", setting)
        object.__setattr__(self, "values", values)

    @property
    def condition(self) -> str:
        """What the block must say: `method: lora`, as Markdown."""
        return " or ".join(f"`{self.setting}: {_written(value)}`" for value in self.values)


def _written(value: Any) -> Any:
    """A plain value as YAML has it."""
    return "null" if value is None else value


#: What a file of each folder is called in messages.
KINDS = {
    "reference": "reference",
    "embed": "feature",
    "score": "scorer",
    "aggregate": "aggregator",
    "compute": "engine",
}

#: The modules of `compute` that are engines; the others are what engines stand on.
ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Part:
    """One word of a method, or an engine: the file it names, and its complete settings."""

    name: str
    settings: dict[str, Any]


def part_module(folder: str, name: str, where: str) -> ModuleType:
    """Imports `dataselect.<folder>.<name>`.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: the folder has no such file.
    """
    names = part_names(folder)
    if name not in names:
        hint = did_you_mean(name, names)
        raise InputError(f"{where}: no {KINDS[folder]} is called `{name}`. {hint}")
    return importlib.import_module(f"dataselect.{folder}.{name}")


def part_names(folder: str) -> list[str]:
    """The names that may stand for a file of a folder, in alphabetical order."""
    if folder == "compute":
        return list(ENGINES)
    package = importlib.import_module(f"dataselect.{folder}")
    files = (file for path in package.__path__ for file in Path(path).glob("*.py"))
    return sorted(file.stem for file in files if file.stem != "run" and file.stem[0] != "_")


def part_function(folder: str, name: str, where: str) -> Callable[..., Any]:
    """The function that a part's file is named for; its keyword-only parameters are the settings.

    Raises:
        InputError: the folder has no such file.
    """
    return getattr(part_module(folder, name, where), name)


def load_part(folder: str, part: Part) -> Any:
    """A part with its settings: what its folder's `__init__.py` calls its contract."""
    return part_function(folder, part.name, "plan.json")(**part.settings)


def settings_of(schema: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a function or dataclass: its settings."""
    parameters = inspect.signature(schema).parameters.values()
    return {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def check_settings(
    schema: Callable[..., Any],
    given: Mapping[str, Any] | None,
    where: str,
    offered: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The settings that `schema` declares, checked and completed with their defaults.

    Args:
        given: the user's block.
        where: its place in the user's files, for messages.
        offered: values from elsewhere for settings that `given` leaves out; other names are left.

    Raises:
        InputError: an unknown or missing name, a value of the wrong type or range, or a setting
            that another one makes idle (see `OnlyWith`).
    """
    if given is not None and not isinstance(given, Mapping):
        raise InputError(
            f"{where}: expected settings by name, like `name: value`; found {given!r:.60}. "
            "See docs/settings.md for what there is."
        )
    given = dict(given or {})
    names = settings_of(schema)
    for name in given:
        if name not in names:
            found = f"{where}: unknown setting `{name}`. "
            raise InputError(
                found + (did_you_mean(name, names) if names else "It has none: leave it out.")
            )
    from pydantic import ValidationError

    try:
        taken = {name: value for name, value in (offered or {}).items() if name in names}
        checked = _validator(schema)(**(taken | given))
    except ValidationError as error:
        by_name: dict[str, list[Any]] = {}  # a union has an error for each of its members
        for detail in error.errors():
            by_name.setdefault(str(detail["loc"][0]), []).append(detail)
        messages = (_message(where, name, errors, given) for name, errors in by_name.items())
        raise InputError("\n".join(messages)) from None
    settings = {name: getattr(checked, name) for name in names}
    if idle := list(_idle(schema, given, settings, where)):
        raise InputError("\n".join(idle))
    return settings


def _idle(
    schema: Callable[..., Any], given: Mapping[str, Any], settings: dict[str, Any], where: str
) -> Iterator[str]:
    """A message for every given setting that another one makes idle."""
    for name in given:
        for mark in getattr(annotation_of(schema, name), "__metadata__", ()):
            if isinstance(mark, OnlyWith) and settings[mark.setting] not in mark.values:
                yield (
                    f"{_path(where, name)}: has an effect only with {mark.condition}; found "
                    f"`{mark.setting}: {_written(settings[mark.setting])}`. Remove it, or set "
                    f"{mark.condition}."
                )


def from_json(schema: type[T], value: Any) -> T:
    """A dataclass, and the dataclasses in it, from what `dataclasses.asdict` made of them."""
    from pydantic import TypeAdapter

    return TypeAdapter(schema).validate_python(value)


@cache
def _validator(schema: Callable[..., Any]) -> Any:
    from pydantic import ConfigDict, create_model

    fields: dict[str, Any] = {}
    for name, parameter in settings_of(schema).items():
        annotation = annotation_of(schema, name)
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (annotation, _factories(schema).get(name, default))
    strict = ConfigDict(strict=True, protected_namespaces=(), allow_inf_nan=False)
    return create_model(getattr(schema, "__name__", "settings"), __config__=strict, **fields)


def annotation_of(schema: Callable[..., Any], name: str) -> Any:
    """The type of a setting, with its marks."""
    annotation = settings_of(schema)[name].annotation
    if isinstance(annotation, str):  # one by one: others may name types imported only to check
        # A field's names are known where its class stands, which may be a base of the schema.
        classes = inspect.getmro(schema) if inspect.isclass(schema) else ()
        owner = next((c for c in classes if name in inspect.get_annotations(c)), schema)
        return eval(annotation, inspect.getmodule(owner).__dict__)
    return annotation


def _factories(schema: Callable[..., Any]) -> dict[str, Any]:
    """The defaults of a dataclass's fields that are made anew each time, such as `{}`."""
    from pydantic import Field

    fields = dataclasses.fields(schema) if dataclasses.is_dataclass(schema) else ()
    return {
        field.name: Field(default_factory=field.default_factory)
        for field in fields
        if field.default_factory is not dataclasses.MISSING
    }


def _path(where: str, name: str) -> str:
    """The place of a setting: `params.yaml: seed`, `params.yaml: train.seed`."""
    return f"{where}: {name}" if where.endswith(".yaml") else f"{where}.{name}"


def _message(where: str, name: str, errors: list[Any], given: Mapping[str, Any]) -> str:
    place = _path(where, name)
    if errors[0]["type"] == "missing":
        return f"{place}: missing. Add it; see docs/settings.md."
    # Of a union's members, the one that got as far as an item is the one that was meant.
    meant = [error for error in errors if _item(error)] or errors
    expected = " or ".join(dict.fromkeys(_expected(error) for error in meant))
    return f"{place}: expected {expected}; found {given.get(name)!r:.80}. Fix it there."


def _expected(error: Any) -> str:
    text = error["msg"].removeprefix("Input should be ")
    return f"{text} as item {_item(error)}" if _item(error) else text


def _item(error: Any) -> int | None:
    """Which item of a list is wrong, from 1; None where the whole is."""
    # The first part of a location is the setting; a union's member or an index may follow.
    return next((part + 1 for part in error["loc"][1:] if isinstance(part, int)), None)
