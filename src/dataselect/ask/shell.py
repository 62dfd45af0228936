"""DuckDB's own command line with the views: what `dataselect sql` opens without a recipe."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from dataselect.ask.views import FOLDER, VIEWS, statements
from dataselect.errors import InputError


def open_shell(runs: Mapping[str, Path], recipes: list[str]) -> None:
    """Becomes the command `duckdb`, with the views of these runs; does not return.

    Args:
        runs: the folders of the outputs, by the names of the runs.
        recipes: the recipes that there are, for the message.

    Raises:
        InputError: the command is not installed. The Python package `duckdb` has none.
    """
    program = shutil.which("duckdb")
    if program is None:
        raise InputError(
            "DuckDB's command line is not installed: `pip install duckdb-cli`. Without it: "
            '`dataselect sql -c "SELECT …"` answers a statement, and `dataselect sql FILE '
            f"[name=value ...]` a recipe. There are: {', '.join(recipes)}."
        )
    os.execv(program, ["duckdb", "-cmd", "\n".join(statements(runs, FOLDER / VIEWS))])
