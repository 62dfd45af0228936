"""Reads and checks params.yaml and methods.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Lt

from dataselect.compute.memory import memory_bytes
from dataselect.data.budget import parse_budget
from dataselect.data.mix import MixSettings
from dataselect.dedup.columns import check_columns
from dataselect.dedup.settings import DecontaminateSettings, NearDuplicateSettings, PoolSettings
from dataselect.dedup.sources import check_sources
from dataselect.errors import InputError, did_you_mean
from dataselect.eval.judge import JudgeSettings, read_judge
from dataselect.eval.run import EvalSettings
from dataselect.eval.task_kinds import check_kind
from dataselect.models.config import read_config
from dataselect.models.load import is_folder
from dataselect.models.positions import context_length
from dataselect.models.settings import ModelSettings
from dataselect.plan.tasks import with_paths
from dataselect.plan.yaml_values import check_values
from dataselect.settings import check_settings
from dataselect.train.fit import Recipe, check_batch
from dataselect.train.nets import check_installed, check_types

TOP_LEVEL_KEYS = ("pool", "queries", "tests", "tasks", "method", "budget", "seed", "model")
TOP_LEVEL_KEYS += ("groups", "mix", "near_duplicates", "decontaminate", "selector_model")
TOP_LEVEL_KEYS += ("engine", "train", "eval")
REQUIRED_KEYS = ("pool", "method", "budget", "model")


@dataclass(frozen=True, kw_only=True)
class QueriesParams:
    """The block `queries`.

    Attributes:
        path: example rows of the tasks: a file, a glob or a list of them.
        tasks: whose queries are used: `same` as `tasks` at the top, `all`, or these.
    """

    path: str | list[str]
    tasks: Literal["same", "all"] | list[str] = "same"


@dataclass(frozen=True, kw_only=True)
class TestsParams:
    """The block `tests`.

    Attributes:
        path: the tests of the tasks: a file, a glob or a list of them.
    """

    path: str | list[str]


@dataclass(frozen=True, kw_only=True)
class TopLevel:
    """The plain values at the top of params.yaml.

    Attributes:
        tasks: the tasks whose tests, and queries, are used.
        budget: how many rows are chosen: a number, or a share of the pool such as "5%"; or
            `{tokens: …}`, how many tokens they have at most in training.
        seed: of every random draw.
        groups: whether S has a column for each query or each task; `auto`: the scorer decides.
    """

    tasks: Literal["all"] | list[str] = "all"
    budget: Any  # see data.budget.parse_budget
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0
    groups: Literal["auto", "queries", "tasks"] = "auto"


@dataclass(frozen=True)
class Params:
    """params.yaml, checked and completed with the defaults."""

    top: TopLevel
    pool: PoolSettings
    queries: QueriesParams | None
    tests: TestsParams | None
    mix: MixSettings | None
    near_duplicates: NearDuplicateSettings | None
    decontaminate: DecontaminateSettings | None
    model: ModelSettings
    train: Recipe
    eval: EvalSettings
    judge: JudgeSettings | None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Reads a YAML 1.2 file of settings, as DVC reads it.

    Raises:
        InputError: it is not there, not YAML, or not settings by name, of values as JSON has them.
    """
    from ruamel.yaml import YAML, YAMLError

    try:
        content = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason = f"{error.strerror} (looked from {Path.cwd()})"
        raise InputError(f"{path}: cannot be read: {reason}. Expected a YAML file.") from None
    except RecursionError:
        raise InputError(
            f"{path}: expected settings; found hundreds of blocks in each other. Remove them."
        ) from None
    except (YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that does not exist
        raise InputError(f"{path}: not YAML: {_reason(error)}. Fix the file there.") from None
    check_values(content, str(path))
    if not isinstance(content, dict):
        found = f"{content!r:.60}"
        raise InputError(f"{path}: expected lines of `name: value`, found {found}. Add them.")
    return content


def _reason(error: Exception) -> str:
    """What is wrong with a YAML file, in one line; without the library's advice to programmers."""
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError

    if isinstance(error, DuplicateKeyError) and error.problem_mark is not None:
        key = str(error.problem).partition('"')[2].partition('"')[0]
        return f"duplicate key `{key}`, again in line {error.problem_mark.line + 1}"
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = f", in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        parts = [part for part in (error.context, error.problem) if part]
        return ", ".join(parts) + place
    return " ".join(str(error).split())


def check_params(params: dict[str, Any]) -> Params:
    """params.yaml, every block checked and completed with its defaults.

    Raises:
        InputError: an unknown or missing key, or a value of the wrong type or range.
    """
    _check_keys(params)
    params = {
        **params,
        **{side: with_paths(params.get(side), side) for side in ("queries", "tests")},
    }
    plain = ("tasks", "budget", "seed", "groups")
    top = check_settings(TopLevel, {k: params[k] for k in plain if k in params}, "params.yaml")
    top["budget"] = parse_budget(top["budget"])
    if top["tasks"] == []:
        raise InputError("tasks: an empty list. Name at least one task, or set `tasks: all`.")

    params, judge = _without_judge(params)

    def block(schema: type, name: str) -> Any:
        return schema(**check_settings(schema, params.get(name), f"params.yaml: {name}"))

    def optional(schema: type, name: str, absent: dict | None = None) -> Any:
        return None if params.get(name, absent) is None else block(schema, name)

    train = params.get("train")
    if isinstance(train, dict) and isinstance(memory := train.get("memory"), int | float):
        memory_bytes(str(memory), "train.memory")  # a number without its unit: says what is missing
    recipe = check_settings(Recipe, train, "params.yaml: train")
    if "seed" not in (params.get("train") or {}):
        recipe["seed"] = top["seed"]
    checked = Params(
        top=TopLevel(**top),
        pool=block(PoolSettings, "pool"),
        queries=optional(QueriesParams, "queries"),
        tests=optional(TestsParams, "tests"),
        mix=optional(MixSettings, "mix") if params.get("mix") else None,
        near_duplicates=optional(NearDuplicateSettings, "near_duplicates"),
        # Left out, it is on; `null` switches it off.
        decontaminate=optional(DecontaminateSettings, "decontaminate", absent={}),
        model=block(ModelSettings, "model"),
        train=Recipe(**recipe),
        eval=block(EvalSettings, "eval"),
        judge=read_judge(judge),
    )
    _check_limits(checked)
    return checked


def _without_judge(params: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """params.yaml without the block `eval.judge`, and that block."""
    block = params.get("eval")
    if not isinstance(block, dict):
        return params, None
    others = {name: value for name, value in block.items() if name != "judge"}
    return {**params, "eval": others}, block.get("judge")


def _check_keys(params: dict[str, Any]) -> None:
    for name in params:
        if name not in TOP_LEVEL_KEYS:
            hint = did_you_mean(name, TOP_LEVEL_KEYS)
            raise InputError(f"params.yaml: unknown key `{name}`. {hint}")
    for name in REQUIRED_KEYS:
        if params.get(name) is None:
            raise InputError(f"params.yaml: `{name}` is missing. Add it; see docs/settings.md.")


def _check_limits(params: Params) -> None:
    """Checks what no type can say, but what would end a run after hours."""
    check_columns(params.pool.columns)
    check_sources(params.pool.sources)
    check_batch(params.train.batch_size, params.train.micro_batch_size, "params.yaml: train")
    check_types(params.train, "params.yaml: train")
    check_installed(params.train, "params.yaml: train")
    is_folder(params.model.name)  # says what is wrong with a name that is none
    config = read_config(params.model)
    limit = context_length(config) if config else None  # a hub's model that is not in the cache
    if limit is not None and params.eval.max_new_tokens >= limit:
        raise InputError(
            f"params.yaml: eval.max_new_tokens: expected fewer than the {limit} tokens that the "
            f"model can read, which hold the prompt too; found {params.eval.max_new_tokens}. Lower "
            "it."
        )
    for task, kind in params.eval.kinds.items():
        check_kind(kind, f"params.yaml: eval.kinds.{task}", params.eval.run_code)
