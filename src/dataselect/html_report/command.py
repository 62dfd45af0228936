"""The command `dataselect report`: the page, and its rows as a table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from dataselect import report
from dataselect.compare.comparison import Comparison, compare_runs
from dataselect.compare.find_runs import WORKSPACE, all_runs, named_runs
from dataselect.compare.recorded import Run
from dataselect.data import files
from dataselect.errors import InputError
from dataselect.html_report.blocks import ROWS_PER_BLOCK, json_block, number_block, text_block
from dataselect.html_report.drawings import draw_figures
from dataselect.html_report.map_figure import bokeh_script, map_figure
from dataselect.html_report.outputs import run_outputs, unfinished
from dataselect.html_report.page import (
    browser_meta,
    browser_section,
    own_scripts,
    page_end,
    page_start,
)
from dataselect.html_report.rows import (
    Browser,
    browse,
    columns,
    read_excerpts,
    table_part,
    write_table,
)
from dataselect.html_report.sections import (
    comparison_section,
    figures_section,
    parameters_section,
    versions_section,
)
from dataselect.html_report.texts import Excerpt, in_blocks


@dataclass(frozen=True)
class Options:
    """What the user can choose.

    Attributes:
        baseline: the method that others are compared with; None: `random`, or the first.
        rows_of: the run whose rows are shown; None: the only one that is named, or the workspace.
        text_characters: of a row's prompt and response together.
        most_rows: of a larger pool, a sample is shown.
        map: `pca` or `umap`.
    """

    baseline: str | None = None
    rows_of: str | None = None
    text_characters: int = 300
    most_rows: int = 300_000
    map: str = "pca"


def report_command(names: list[str], out: Path, options: Options) -> None:
    """Writes the page, and beside it the rows of its map as a table of the same name.

    Args:
        names: the runs that are compared, see `find_runs.named_runs`; none: all.
        out: the page's file, which ends with .html.

    Raises:
        InputError: the runs cannot be found or compared, or the outputs of the one whose rows are
            shown are gone; nothing is written then.
    """
    if out.suffix != ".html":
        raise InputError(f"--out {out}: expected a name that ends with .html. Change it.")
    if options.map not in ("pca", "umap"):
        raise InputError(f"--map {options.map}: expected pca or umap. Change it.")
    runs, found = _compare(names, options.baseline)
    shown = options.rows_of or (names[0] if len(names) == 1 else WORKSPACE)
    with tempfile.TemporaryDirectory(prefix="dataselect-") as scratch:
        browser = browse(run_outputs(shown, Path(scratch)), options.most_rows, options.map)
        if reason := unfinished(shown):
            browser.lacks.append(f"Some of these outputs may be of other settings: {reason}.")
        with report.spinner("figures"):
            drawings = draw_figures(runs, options.baseline)
        sections = {
            "comparison": ("Comparison", comparison_section(found)),
            "figures": ("Figures", figures_section(drawings)),
            "parameters": ("Parameters", parameters_section(runs, browser.run.plan)),
            "data": ("Data and models", versions_section(runs, browser.run.plan)),
            "rows": (f"Rows of {shown}", browser_section(browser)),
        }
        if not (drawings.figures or drawings.missing):
            del sections["figures"]
        _write(out, _title(runs), sections, browser, options.text_characters)
    for path in (out, out.with_suffix(".parquet")):
        size = report.format_bytes(path.stat().st_size)
        report.console.print(f"{path}: {size}", markup=False, highlight=False)


def _compare(names: list[str], baseline: str | None) -> tuple[list[Run], Comparison | str]:
    """The runs that can be compared, and what is found; without names, perhaps only why not."""
    if names:
        runs = named_runs(names)
        return runs, compare_runs(runs, baseline, per_task=True)
    try:
        runs = all_runs()
        return [run for run in runs if not run.problem], compare_runs(runs, baseline, per_task=True)
    except InputError as error:
        if baseline is not None:
            raise
        return [], str(error)


def _title(runs: list[Run]) -> str:
    """What stands at the top: the methods that are compared."""
    methods = dict.fromkeys(run.method for run in runs if run.method)
    return "dataselect report" + (f": {', '.join(methods)}" if methods else "")


def _write(
    out: Path,
    title: str,
    sections: dict[str, tuple[str, str]],
    browser: Browser,
    characters: int,
) -> None:
    scripts = [own_scripts()]
    item = None
    if browser.map is not None:
        scripts = [bokeh_script(), *scripts]
        item = map_figure(browser.map)
    table = out.with_suffix(".parquet")
    with (
        files.atomic_write(out) as page,
        files.atomic_write(table) as rows,
        page.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(page_start(title, sections, scripts))
        file.write(browser_meta(browser))
        if item is not None:
            file.write(json_block("map-item", item))
        _write_rows(file, rows, browser, characters)
        file.write(page_end(scripts))


def _write_rows(file: TextIO, table: Path, browser: Browser, characters: int) -> None:
    """Streams the rows into the page and into the table, a block at a time."""
    lengths: list[int] = []

    def parts() -> Iterator[tuple[int, list[Excerpt]]]:
        with report.progress("rows", len(browser.kept)) as progress:
            for block in in_blocks(read_excerpts(browser, characters), ROWS_PER_BLOCK):
                file.write(text_block(block))
                yield len(lengths), block
                lengths.extend(row.characters for row in block)
                progress(len(block))
        if not lengths:
            yield 0, []

    write_table(table, (table_part(browser, first, block) for first, block in parts()))
    for name, numbers in columns(browser, lengths).items():
        file.write(number_block(name, numbers))
