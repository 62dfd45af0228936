"""Checks the block `mix` and a budget in tokens: values, and whether the method can follow them."""

from __future__ import annotations

import inspect

from dataselect.data import fingerprint
from dataselect.data.budget import TokenBudget
from dataselect.data.files import resolve
from dataselect.data.mix import MixSettings, divide, read_bounds
from dataselect.dedup.tasks import read_queries
from dataselect.errors import InputError, did_you_mean
from dataselect.plan.method import ChosenParts
from dataselect.plan.params import Params
from dataselect.settings import part_function, part_names


def check_mix(params: Params, parts: ChosenParts, method: str) -> None:
    """Checks what can be known before the pool is read.

    Args:
        method: the method's name, for messages.

    Raises:
        InputError: an amount or weight that is none, quotas that no pool can meet, or a method
            that cannot follow them.
    """
    mix = params.mix or MixSettings()
    if mix.sources:
        _check_parameter(parts, "quotas", "mix.sources", method)
        _check_scorer(parts, method)
        _check_amounts(mix, params)
    if isinstance(params.top.budget, TokenBudget):
        _check_parameter(parts, "quotas", "budget.tokens", method)
    if mix.tasks:
        _check_parameter(parts, "weights", "mix.tasks", method)
        _check_tasks(mix, params, parts, method)


def _check_parameter(parts: ChosenParts, parameter: str, key: str, method: str) -> None:
    """Refuses a setting that the method's aggregator has no parameter for."""

    def follows(name: str) -> bool:
        function = part_function("aggregate", name, "methods.yaml")
        return parameter in inspect.signature(function).parameters

    if not follows(parts.aggregator.name):
        others = " or ".join(f"`{name}`" for name in part_names("aggregate") if follows(name))
        raise InputError(
            f"params.yaml: {key}: the aggregator `{parts.aggregator.name}` of the method "
            f"`{method}` cannot follow it. Expected {others}. Remove it, or set another method."
        )


def _check_scorer(parts: ChosenParts, method: str) -> None:
    if "budget" in parts.scorer.settings:
        raise InputError(
            f"params.yaml: mix.sources: the scorer `{parts.scorer.name}` of the method `{method}` "
            "ranks no more rows than the budget, so quotas have none to choose from. Remove it, or "
            "set another method."
        )


def _check_amounts(mix: MixSettings, params: Params) -> None:
    bounds = read_bounds(mix.sources)
    budget = params.top.budget
    if isinstance(budget, TokenBudget):
        divide(bounds, budget.tokens, "tokens")
    elif isinstance(budget, int):
        divide(bounds, budget, "rows")


def _check_tasks(mix: MixSettings, params: Params, parts: ChosenParts, method: str) -> None:
    for task, weight in mix.tasks.items():
        if weight <= 0:
            raise InputError(
                f"params.yaml: mix.tasks.{task}: expected a number above 0; found {weight:g}. Fix "
                "it; to leave the task out, remove it from `queries.tasks` or `tasks`."
            )
    if not parts.uses_queries:
        raise InputError(
            f"params.yaml: mix.tasks: the method `{method}` compares rows with no task's queries. "
            "Remove it, or set another method."
        )
    same = params.queries is None or params.queries.tasks == "same"
    tasks = params.top.tasks if same else params.queries.tasks
    if tasks == "all" and params.queries is not None:
        files = fingerprint.matching_files(params.queries.path, "queries.path")
        queries = read_queries([resolve(file.path) for file in files], "all")
        tasks = queries["task"].unique(maintain_order=True).to_list()
    for task in mix.tasks:
        if task not in tasks:
            hint = did_you_mean(task, tasks)
            raise InputError(f"params.yaml: mix.tasks: no query is of a task `{task}`. {hint}")
