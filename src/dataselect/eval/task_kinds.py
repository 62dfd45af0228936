"""The kinds of task: how a test's answer is compared. One YAML file per kind, also the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dataselect.data.project_files import project_file
from dataselect.errors import InputError, did_you_mean
from dataselect.eval.kind_functions import KINDS_FOLDER, check_functions, kind_files
from dataselect.eval.kind_needs import (
    Needs,
    check_columns,
    check_drawing,
    check_needs,
    read_needs,
)

if TYPE_CHECKING:
    import polars as pl


#: What lm-eval calls the longest output, in the order in which it reads them.
OUTPUT_LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")


def check_kind(kind: str, where: str, run_code: bool = False) -> None:
    """Refuses a kind without a file, with one that cannot be read, or that cannot be scored here.

    Args:
        kind: its name.
        where: what names it, for messages.
        run_code: whether programs that a model has generated may run.

    Raises:
        InputError: naming the nearest kind that has a file; what is wrong in the file; or what it
            needs.
    """
    names = [path.stem for path in kind_files()]
    if kind not in names:
        hint = did_you_mean(kind, names)
        raise InputError(
            f"{where}: no kind is called `{kind}`. {hint} Or add {KINDS_FOLDER}/{kind}.yaml."
        )
    own_output_limit(kind)
    check_drawing(kind_settings(kind), _block(kind, "generation_kwargs"), str(kind_file(kind)))
    check_functions(kind_file(kind))
    _check_samples(kind)
    check_needs(kind, _needs(kind), where, run_code)


def _check_samples(kind: str) -> None:
    """Refuses a kind whose metric wants more samples than are drawn, or are left by its filter."""
    wanted, settings = kind_metadata(kind).get("k"), kind_settings(kind)
    if not isinstance(wanted, list) or not all(isinstance(k, int) for k in wanted):
        return
    filters = [step for each in settings.get("filter_list") or () for step in each["filter"]]
    kept = [step.get("k", 1) for step in filters if step.get("function") == "take_first_k"]
    drawn = min([settings.get("repeats") or 1, *(kept or [1])])
    if max(wanted) > drawn:
        raise InputError(
            f"{kind_file(kind)}: metadata.k: expected at most the {drawn} samples that `repeats` "
            f"and the filter `take_first_k` give; found {max(wanted)}. Raise both, or lower it."
        )


class _KindLoader(yaml.SafeLoader):
    """Reads a kind's plain settings; lm-eval itself resolves its `!function` tags."""


_KindLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


def kind_file(kind: str) -> Path:
    """The file of a kind: the project's, or the package's own where the folder is no project."""
    return project_file(KINDS_FOLDER) / f"{kind}.yaml"


def kind_settings(kind: str) -> dict[str, Any]:
    """The plain settings of a kind's file; None for what is a `!function`.

    Raises:
        InputError: the file cannot be read, is not YAML, or does not hold settings by name.
    """
    path = kind_file(kind)
    try:
        # PyYAML, not our own reader of YAML 1.2: lm-eval reads the file with it as well.
        settings = yaml.load(path.read_text(encoding="utf-8"), _KindLoader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Fix the file.") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or no such date
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not YAML: {reason}. Fix the file there.") from None
    if not isinstance(settings, dict):
        raise InputError(
            f"{path}: expected lines of `name: value`, as of an lm-eval task; found "
            f"{settings!r:.60}. Add them."
        )
    return settings


def kind_metadata(kind: str) -> dict[str, Any]:
    """The block `metadata` of a kind's file: what it needs, and settings of its metric.

    Raises:
        InputError: the file cannot be read, or the block does not hold settings by name.
    """
    return _block(kind, "metadata")


def _needs(kind: str) -> Needs:
    return read_needs(kind_metadata(kind), f"{kind_file(kind)}: metadata")


def _block(kind: str, name: str) -> dict[str, Any]:
    block = kind_settings(kind).get(name) or {}
    if not isinstance(block, dict):
        raise InputError(
            f"{kind_file(kind)}: {name}: expected lines of `name: value`, found {block!r:.60}. Fix "
            "the file."
        )
    return block


def own_output_limit(kind: str) -> tuple[str, int] | None:
    """The longest output that a kind's file sets: the setting's name, and tokens.

    Raises:
        InputError: the file cannot be read, or the limit is no number of tokens.
    """
    path, generation = kind_file(kind), _block(kind, "generation_kwargs")
    for name in OUTPUT_LIMITS:
        limit = generation.get(name)
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise InputError(
                f"{path}: generation_kwargs: {name}: expected a whole number from 1 on, found "
                f"{limit!r:.60}. Fix the file."
            )
        return name, limit
    return None


def output_tokens(kind: str, max_new_tokens: int) -> int:
    """The longest output that a kind generates, in tokens; 0 for one that only scores choices.

    Args:
        max_new_tokens: of a kind that does not say it itself.
    """
    if kind_settings(kind).get("output_type") != "generate_until":
        return 0
    own = own_output_limit(kind)
    return own[1] if own else max_new_tokens


def output_setting(kind: str) -> str | None:
    """The setting that limits a kind's output, for messages; None where it generates none."""
    if output_tokens(kind, 1) == 0:
        return None
    own = own_output_limit(kind)
    return f"`{own[0]}` in {kind_file(kind)}" if own else "`eval.max_new_tokens`"


def task_kinds(
    tests: pl.DataFrame, kinds: dict[str, str], run_code: bool = False
) -> dict[str, str]:
    """The kind of every task that has tests.

    It is the one in `kinds`; else the one that the tests name; else `multiple_choice` where every
    test has choices, and `exact_match`.

    Args:
        tests: the tests table.
        kinds: task → kind, for some tasks.
        run_code: whether programs that a model has generated may run.

    Raises:
        InputError: a kind without a file, with a broken one or that cannot be scored here, several
            kinds in one task, a task without tests, a test without a column that its kind needs,
            or multiple choice with an empty choice or without the answer among the choices.
    """
    names = tests["task"].unique(maintain_order=True).to_list()
    for task in kinds:
        if not names:
            raise InputError(
                f"eval.kinds: `{task}` has no tests: none are given. Add `tests: {{path: …}}`, or "
                "remove `eval.kinds`."
            )
        if task not in names:
            raise InputError(f"eval.kinds: `{task}` has no tests. {did_you_mean(task, names)}")
    resolved = {}
    for (name,), part in tests.group_by("task", maintain_order=True):
        task = str(name)
        named = part["kind"].drop_nulls().unique(maintain_order=True)
        if len(named) > 1:
            raise InputError(
                f"tests.path: task {task}: expected one kind, found {', '.join(named)}. Use one "
                "kind, or split the task."
            )
        guess = "multiple_choice" if part["choices"].null_count() == 0 else "exact_match"
        kind = kinds.get(task) or (named[0] if len(named) else guess)
        check_kind(kind, f"tests.path: task {task}", run_code)
        check_columns(task, kind, _needs(kind), part)
        if kind == "multiple_choice":
            _check_choices(part)
        resolved[task] = kind
    return resolved


def _check_choices(tests: pl.DataFrame) -> None:
    for row in tests.iter_rows(named=True):
        if "" in (row["choices"] or []):
            raise InputError(
                f"tests.path: `{row['id']}` of {row['task']}: expected text in every choice, found "
                f"an empty one among {row['choices']}. Fix the row."
            )
        for gold in row["answers"] or [row["answer"]]:
            if gold not in (row["choices"] or []):
                raise InputError(
                    f"tests.path: `{row['id']}` of {row['task']}: the answer {gold!r} is not "
                    f"among the choices {row['choices']}. Fix the row, or give the task's "
                    "rows another `kind`."
                )
