"""Functions of ours that the files of kinds name."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from dataselect.data.project_files import project_file
from dataselect.errors import InputError

#: The folder of the kinds, each in the form of an lm-eval task.
KINDS_FOLDER = "eval_kinds"

#: A function of ours in a kind's file: its module, and its name.
FUNCTION = re.compile(r"!function\s+(dataselect[\w.]*)\.(\w+)")


def kind_files() -> list[Path]:
    """The files of all kinds, by name: the project's, or those that come with the package."""
    return sorted(project_file(KINDS_FOLDER).glob("*.yaml"))


def metric_modules() -> list[str]:
    """The modules of ours, such as `eval.metrics`, that kinds name and no module imports."""
    texts = [path.read_text(encoding="utf-8") for path in kind_files()]
    named = {module for text in texts for module, _ in FUNCTION.findall(text)}
    return sorted(module.removeprefix("dataselect.") for module in named)


def check_functions(file: Path) -> None:
    """Refuses a name of a function of ours that there is not.

    Args:
        file: of a kind.
    """
    for module, name in FUNCTION.findall(file.read_text(encoding="utf-8")):
        try:
            known = dir(importlib.import_module(module))
        except ImportError:
            known = []
        if name not in known:
            raise InputError(
                f"{file}: !function {module}.{name}: there is no such function. Fix it."
            )
