"""…"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from annotated_types import Ge, Lt

from dataselect.data.budget import parse_budget
from dataselect.errors import InputError, did_you_mean
from dataselect.eval import task_kinds
from dataselect.eval.run import evaluate
from dataselect.models.load import model_settings
from dataselect.settings import check_settings
from dataselect.train.fit import check_batch
from dataselect.train.run import train

Section = dict[str, Any]


TOP = ("pool", "queries", "tests", "tasks", "method", "budget", "seed", "model", "groups")


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


def _source(*, path: str | list[str]) -> None:
    """The schema of `tests`."""


def _queries(*, path: str | list[str], tasks: Literal["same", "all"] | list[str] = "same") -> None:
    """The schema of `queries`; their tasks are those of the tests, unless they are from outside."""


def _pool(*, path: str | list[str], on_bad_row: Literal["error", "drop"] = "error") -> None:
    """The schema of `pool`."""


def _method(
    *,
    features: dict | str | None,
    scorer: dict | str,
    aggregator: dict | str,
    reference: dict | str | None = None,
    model: dict | None = None,
) -> None:
    """The schema of a method in methods.yaml."""


def _choices(
    *,
    tasks: Literal["all"] | list[str] = "all",
    parse_budget: Any,  # see budget
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0,
    groups: Literal["auto", "queries", "tasks"] = "auto",
) -> None:
    """The schema of what stands at the top of params.yaml."""


def _known_keys(params: Section) -> None:
    known = [*TOP, "train", "eval"]
    for name in params:
        if name not in known:
            raise InputError(f"params.yaml: unknown key `{name}`. {did_you_mean(name, known)}")
    for name in ("pool", "tests", "method", "budget", "model"):
        if params.get(name) is None:
            raise InputError(f"params.yaml: `{name}` is missing. Add it; see the README.")


def _pick(methods: Section, name: Any) -> Section:
    if not isinstance(name, str) or name not in methods:
        known = did_you_mean(name, methods)
        raise InputError(f"params.yaml: method: no method is called `{name}`. {known}")
    return methods[name]


def _settings(params: Section) -> Section:
    top = {k: params[k] for k in ("tasks", "budget", "seed", "groups") if k in params}
    chosen = check_settings(_choices, top, "params.yaml")
    chosen["budget"] = parse_budget(chosen["budget"])
    if chosen["tasks"] == []:
        raise InputError("tasks: an empty list. Name at least one task, or set `tasks: all`.")
    blocks: dict[str, Callable[..., Any]] = {
        "pool": _pool,
        "queries": _queries,
        "tests": _source,
        "model": model_settings,
        "train": train,
        "eval": evaluate,
    }
    if params.get("queries") is None:
        chosen["queries"] = None
        del blocks["queries"]
    for name, schema in blocks.items():
        chosen[name] = check_settings(schema, params.get(name), f"params.yaml: {name}")
    if "seed" not in (params.get("train") or {}):
        chosen["train"]["seed"] = chosen["seed"]
    _fit(chosen)
    return chosen


def _fit(chosen: Section) -> None:
    """What no type says, but what would end a run after hours."""
    train, evaluate = chosen["train"], chosen["eval"]
    check_batch(train["batch_size"], train["micro_batch_size"], "params.yaml: train")
    most = chosen["model"]["max_tokens"]
    if evaluate["max_new_tokens"] >= most:
        raise InputError(
            f"params.yaml: eval.max_new_tokens: expected fewer than model.max_tokens ({most}), "
            f"which hold the prompt too; found {evaluate['max_new_tokens']}. Mend either there."
        )
    for task, kind in evaluate["kinds"].items():
        task_kinds.check_kind(kind, f"params.yaml: eval.kinds.{task}")
