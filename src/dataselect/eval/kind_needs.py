"""What a kind of task says of itself: what it needs, and how outputs are drawn."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import polars as pl
from annotated_types import Gt, Le

from dataselect.errors import InputError, did_you_mean, first_few, install_extra
from dataselect.eval.judge_prompt import read_prompt
from dataselect.eval.sandbox import check_sandbox
from dataselect.settings import NonNegativeInt, PositiveInt, check_settings, settings_of

#: Ways to draw that generation knows and `sampling.Draws` does not.
OTHER_SAMPLERS = frozenset(("min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h"))


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the block `metadata` of a kind's file says, beside settings of its metric.

    Attributes:
        runs_code: whether the metric runs programs that a model has generated.
        packages: the modules that the metric imports.
        columns: the tests' columns that the metric reads, beside those that all have.
        corpus: metrics of all outputs of a task together, beside those of each: functions of
            `eval/corpus.py`.
        judge: what a judge is asked about an output and the gold answer, see `JudgePrompt`; None:
            the metric alone scores the output.
    """

    runs_code: bool = False
    packages: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    corpus: list[Literal["bleu"]] = field(default_factory=list)
    judge: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How outputs are drawn.

    Attributes:
        repeats: outputs of a test.
        temperature: what logits are divided by.
        top_p: the share of the probability that the likeliest tokens must hold together.
        top_k: how many of the likeliest tokens there are; 0: all.
    """

    repeats: PositiveInt = 1
    temperature: Annotated[float, Gt(0)] | None = None
    top_p: Annotated[float, Gt(0), Le(1)] | None = None
    top_k: NonNegativeInt | None = None


def read_needs(metadata: dict[str, Any], where: str) -> Needs:
    """The needs among the settings of a kind's `metadata`.

    Raises:
        InputError: one of them has the wrong type.
    """
    return Needs(**check_settings(Needs, _declared(Needs, metadata), where))


def check_drawing(settings: dict[str, Any], generation: dict[str, Any], where: str) -> None:
    """Checks how a kind draws.

    Args:
        settings: the kind's, for `repeats`.
        generation: its `generation_kwargs`.
        where: its file, for messages.

    Raises:
        InputError: a temperature or number that cannot be drawn with, or several outputs of a test
            where a metric of the whole task takes one.
    """
    for name in OTHER_SAMPLERS.intersection(generation):
        raise InputError(
            f"{where}: generation_kwargs: {name}: outputs are drawn with `temperature`, `top_p` "
            "and `top_k` only. Remove it."
        )
    given = _declared(Drawing, settings)
    if generation.get("do_sample"):
        given |= _declared(Drawing, generation)
    drawing = Drawing(**check_settings(Drawing, given, where))
    if drawing.repeats > 1 and (settings.get("metadata") or {}).get("corpus"):
        raise InputError(
            f"{where}: metadata.corpus: such a metric takes one output of a test, and `repeats` is "
            f"{drawing.repeats}. Remove one of them."
        )


def _declared(schema: type, given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in settings_of(schema) if name in given}


def check_needs(kind: str, kind_needs: Needs, where: str, run_code: bool) -> None:
    """Checks that a kind can be scored here.

    Args:
        kind: the kind's name.
        kind_needs: what it needs.
        where: what names the kind, for messages.
        run_code: whether generated programs may run.

    Raises:
        InputError: it runs code, and that is not allowed or not possible; a package is not
            installed; or what it asks a judge is incomplete.
    """
    lacking = [name for name in kind_needs.packages if not _is_installed(name)]
    if lacking:
        raise InputError(
            f"{where}: the kind `{kind}` needs {', '.join(lacking)}: not installed. Install it. "
            f"Our own kinds need: {install_extra('metrics')}."
        )
    if kind_needs.judge is not None:
        read_prompt(kind_needs.judge, f"eval_kinds/{kind}.yaml: metadata.judge")
    if not kind_needs.runs_code:
        return
    if not run_code:
        raise InputError(
            f"{where}: the kind `{kind}` runs programs that a model has generated. Set "
            "`eval.run_code: true` to allow that, under bubblewrap; or use another kind."
        )
    check_sandbox()


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a package around it is not there; an empty name
        return False


def check_columns(task: str, kind: str, kind_needs: Needs, tests: pl.DataFrame) -> None:
    """Checks that the tests of a task fill the columns that its kind reads.

    Raises:
        InputError: naming tests that do not.
    """
    for column in kind_needs.columns:
        if column not in tests.columns:
            raise InputError(
                f"the kind `{kind}`: metadata.columns: tests have no column `{column}`. "
                f"{did_you_mean(column, tests.columns)}"
            )
        values = tests[column]
        is_blank = values.is_null()
        if values.dtype == pl.String:
            is_blank |= values.str.strip_chars() == ""
        empty = tests.filter(is_blank)
        if not empty.is_empty():
            raise InputError(
                f"tests.path: {empty.height} of {tests.height} tests of {task} have no "
                f"`{column}`, which the kind `{kind}` needs: {first_few(empty['id'])}. Add it, or "
                "use another kind."
            )
