"""The params.yaml of a new project: the repository's, with the user's own files filled in."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.data.budget import parse_budget
from dataselect.errors import option_errors
from dataselect.eval.run import EvalSettings
from dataselect.models.load import is_folder
from dataselect.plan.method import method_entry
from dataselect.plan.profile_page import plain_scalars
from dataselect.project.inputs import Inputs, in_project
from dataselect.settings import settings_of
from dataselect.train.fit import Recipe

if TYPE_CHECKING:
    from ruamel.yaml.comments import CommentedMap

HEAD = "What to choose from, what for, and how much. `dataselect params` lists every setting."

#: Pages of the repository that its comments name; a project has none.
PAGE = re.compile(r": docs/[\w-]+\.md$", re.M)

#: What stands where the user named no model.
MODEL = "meta-llama/Llama-3.2-1B"

#: What is said of the model's `dtype`.
DTYPES = "auto: bfloat16 where it is faster; float32: the same rows on every machine"

#: The settings of a block that are shown with their defaults; and what is said of them.
SHOWN: dict[str, dict[str, str]] = {
    "train": {
        "epochs": "passes over the chosen rows; `dataselect params` lists more settings",
        "learning_rate": "",
        "batch_size": "rows a step",
        "micro_batch_size": "of these at a time; the rest is accumulated",
        "dtype": "auto, float32, bfloat16",
    },
    "eval": {
        "max_new_tokens": "the longest output",
        "batch_size": "",
        "limit": "how many tests of every task, the first ones",
        "before": "also the model as it was before training",
    },
}


def params_yaml(template: bytes, methods: dict[str, Any], inputs: Inputs, folder: Path) -> bytes:
    """The text of params.yaml.

    Args:
        template: the repository's params.yaml: its keys and comments.
        methods: methods.yaml.
        folder: the project's, absolute.

    Raises:
        InputError: no such method, a budget that is none, or a model's folder that is not there.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 1000  # no line is broken
    plain_scalars(yaml)
    params = yaml.load(PAGE.sub("", template.decode()))
    params.yaml_set_start_comment(HEAD)
    _set_files(params, inputs, folder)
    name = inputs.model or MODEL
    with option_errors(("method", "budget", "model")):
        _set_choice(params, methods, inputs)
        is_local = bool(inputs.model) and is_folder(name, "params.yaml: model")
    params["model"]["name"] = in_project(name, folder) if is_local else name
    params["model"]["dtype"] = "auto"  # the demo's is float32, for the same rows everywhere
    params["model"].yaml_add_eol_comment(DTYPES, "dtype", column=37)
    for block, schema in (("train", Recipe), ("eval", EvalSettings)):
        params[block] = _defaults(schema, SHOWN[block])
    text = io.StringIO()
    yaml.dump(params, text)
    return text.getvalue().encode()


def open_points(inputs: Inputs) -> list[str]:
    """What the user has still to write into params.yaml."""
    points = []
    if not inputs.pool:
        points.append("pool.path: the rows to choose from")
    if not inputs.queries:
        points.append("queries.path: example rows of your tasks, for the methods that need them")
    if not inputs.tests:
        points.append("tests.path: without tests, nothing is scored")
    if not inputs.model:
        points.append(f"model.name: {MODEL} stands there as an example")
    return points


def _set_files(params: CommentedMap, inputs: Inputs, folder: Path) -> None:
    """Fills in pool, queries and tests; what is not given stands there as a comment."""
    lacking = []
    for name in ("pool", "queries", "tests"):
        paths = [in_project(path, folder) for path in getattr(inputs, name)]
        if paths or name == "pool":
            value = paths[0] if len(paths) == 1 else paths or "pool.jsonl"
            params.setdefault(name, {})["path"] = value
        else:
            params.pop(name, None)
            lacking.append(f"{name}: {{path: {name}.jsonl}}")
    if lacking:
        params.yaml_set_comment_before_after_key("tasks", before="\n".join(lacking))


def _set_choice(params: CommentedMap, methods: dict[str, Any], inputs: Inputs) -> None:
    """Sets method and budget."""
    if inputs.method is not None:
        method_entry(methods, inputs.method)
        params["method"] = inputs.method
    if inputs.budget is not None:
        parse_budget(inputs.budget)
        params["budget"] = inputs.budget


def _defaults(schema: type, shown: dict[str, str]) -> CommentedMap:
    """A block of settings at their defaults, with comments."""
    from ruamel.yaml.comments import CommentedMap

    block = CommentedMap({name: settings_of(schema)[name].default for name in shown})
    for name, comment in shown.items():
        if comment:
            block.yaml_add_eol_comment(comment, name, column=37)
    return block
