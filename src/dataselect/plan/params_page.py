"""Every setting of params.yaml and methods.yaml on one page, made from the schemas."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from dataselect.data.mix import MixSettings
from dataselect.dedup.settings import DecontaminateSettings, NearDuplicateSettings, PoolSettings
from dataselect.eval.judge import JudgeSettings
from dataselect.eval.run import EvalSettings
from dataselect.models.settings import ModelSettings
from dataselect.plan.method import PARTS, SHARED, SHARED_WITH_TRAINING
from dataselect.plan.params import QueriesParams, TestsParams, TopLevel
from dataselect.settings import (
    ENGINES,
    OnlyWith,
    annotation_of,
    part_function,
    part_names,
    settings_of,
)
from dataselect.train.fit import Recipe

HEAD = """# All settings

Made by `dataselect params` from the code; explained in [settings.md](settings.md) and
[methods.md](methods.md). Where the default is –, the setting must be given.
"""

#: The blocks of params.yaml, in its order; the others stand at its top.
BLOCKS = {
    "pool": PoolSettings,
    "near_duplicates": NearDuplicateSettings,
    "decontaminate": DecontaminateSettings,
    "queries": QueriesParams,
    "tests": TestsParams,
    "": TopLevel,
    "mix": MixSettings,
    "model": ModelSettings,
    "train": Recipe,
    "eval": EvalSettings,
    "eval.judge": JudgeSettings,
}

#: Keys of params.yaml whose values are checked against other files: type, default, meaning.
NAMES = {
    "queries.from, tests.from": ("text; list of texts", "–", "tasks of the papers, instead of "
                                 "`path`: docs/tasks.md"),
    "method": ("text", "–", "a method of methods.yaml"),
    "selector_model": ("settings of `model`", "`null`", "what the model that measures rows "
                       "has other than `model`"),
    "engine": ("text, or a name with settings", "`local`", "where features and scores are "
               "computed; its settings are below"),
}  # fmt: skip

PLAIN: dict[Any, str] = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`"}
PLAIN |= {type(None): "`null`", Any: "whole number, or text"}
LIMITS = {"Ge": "at least", "Gt": "above", "Le": "at most", "Lt": "below"}


def page() -> str:
    """The page as Markdown: a table for params.yaml, the engines, and each kind of part."""
    keys = [line for name, schema in BLOCKS.items() for line in _lines(schema, name)]
    keys += [_line(name, *cells) for name, cells in NAMES.items()]
    tables = {"params.yaml": keys}
    tables["Engines"] = _part_lines("compute", ENGINES)
    for word, folder in PARTS.items():
        tables[f"methods.yaml: {word}"] = _part_lines(folder, part_names(folder))
    head = "| setting | type | default | meaning |\n|---|---|---|---|\n"
    return HEAD + "".join(
        f"\n## {title}\n\n{head}{''.join(lines)}" for title, lines in tables.items() if lines
    )


def _part_lines(folder: str, names: Any) -> list[str]:
    return [line for name in names
            for line in _lines(part_function(folder, name, "docs/params.md"), name)]  # fmt: skip


def _lines(schema: Callable[..., Any], block: str) -> Iterator[str]:
    """A line of a table for each setting of a schema.

    Args:
        schema: a dataclass or a function; its docstring has a line for each setting.
        block: what stands before the setting's name.
    """
    meanings = _meanings(Recipe) | _meanings(schema)
    in_methods = not dataclasses.is_dataclass(schema)
    for name, parameter in settings_of(schema).items():
        default = _default(schema, name, parameter)
        if in_methods and name in (*SHARED, *SHARED_WITH_TRAINING) and block not in ENGINES:
            default = "that of params.yaml"
        full_name = f"{block}.{name}" if block else name
        yield _line(full_name, _type(annotation_of(schema, name)), default, meanings[name])


def _line(name: str, kind: str, default: str, meaning: str) -> str:
    return f"| `{name}` | {kind} | {default} | {meaning} |\n"


def _default(schema: Callable[..., Any], name: str, parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "–"
    field = getattr(schema, "__dataclass_fields__", {}).get(name)
    factory = field.default_factory if field else dataclasses.MISSING
    value = parameter.default if factory is dataclasses.MISSING else factory()
    if schema is Recipe and name == "seed":
        return "`seed`"
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def _type(annotation: Any) -> str:
    """A type in words: `whole number, at least 1`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = [limit for limit in arguments[1:] if type(limit).__name__ in LIMITS]
        limits = [f"{LIMITS[type(limit).__name__]} {_bound(limit):,}" for limit in bounds]
        others = [f"only with {m.condition}" for m in arguments[1:] if isinstance(m, OnlyWith)]
        return ", ".join(filter(None, [_type(arguments[0]), " and ".join(limits), *others]))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return "; ".join(dict.fromkeys(_type(member) for member in arguments))
    if origin in (list, tuple):
        return f"list of {_type(arguments[0])}s"
    if origin is dict:
        return f"names, each with a {_type(arguments[1])}"
    return PLAIN[annotation]


def _bound(limit: Any) -> float:
    """The number of a limit of `annotated_types`, which has one field."""
    return getattr(limit, dataclasses.fields(limit)[0].name)


def _meanings(schema: Callable[..., Any]) -> dict[str, str]:
    """Name → meaning, from the sections Attributes and Args of a docstring and its bases'."""
    classes = reversed(inspect.getmro(schema)) if inspect.isclass(schema) else [schema]
    found: dict[str, str] = {}
    for owner in classes:
        text = inspect.cleandoc(owner.__doc__ or "")
        section = re.search(r"^(?:Attributes|Args):\n((?:    .*\n?|\n(?=    ))+)", text, re.M)
        entries = re.split(r"^    (?=\S)", section[1] if section else "", flags=re.M)
        for names, meaning in (entry.split(": ", 1) for entry in entries if ": " in entry):
            if re.fullmatch(r"[\w, ]+", names):
                words = " ".join(meaning.split()).removesuffix(".")
                found |= dict.fromkeys(names.split(", "), re.sub(r"\bNone\b", "`null`", words))
    return found
