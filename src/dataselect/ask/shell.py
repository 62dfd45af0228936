"""DuckDB's own command line with the views: what `dataselect sql` opens without a recipe."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from dataselect import report
from dataselect.ask.views import Outputs, gone_files, statements, views_file
from dataselect.errors import InputError, first_few


def open_shell(runs: Mapping[str, Outputs], recipes: list[str]) -> None:
    """Becomes the command `duckdb`, with the views of these runs; does not return.

    Args:
        runs: their outputs, by the names of the runs.
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
    if gone := gone_files(runs):
        report.console.print(f"gone from DVC's cache: {first_few(gone)}", markup=False)
    os.execv(program, ["duckdb", "-cmd", "\n".join(statements(runs, views_file()))])
