"""The commands on several runs: compare, sweep, runs, report, figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

#: `cli` adds these commands to its own.
app = typer.Typer()

RUNS = "Experiments (also `small-*`), revisions, `workspace`, folders; none: all of HEAD."
Runs = Annotated[list[str] | None, typer.Argument(help=RUNS)]
Baseline = Annotated[str | None, typer.Option(help="A method; else random.")]


@app.command()
def compare(
    runs: Runs = None,
    baseline: Baseline = None,
    per_task: Annotated[bool, typer.Option("--per-task", help="Every task, too.")] = False,
    shared: Annotated[bool, typer.Option("--shared", help="On tests that all runs have.")] = False,
    model: Annotated[str | None, typer.Option(help="Runs of this base model only.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Print Markdown.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Say which methods' runs differ by more than luck, test by test, and what they cost."""
    from dataselect.compare.command import compare_command

    forms = {"json": json, "md": md, "csv": csv}
    options = {"per_task": per_task, "shared": shared, "model": model, "forms": forms}
    typer.echo(compare_command(runs or [], baseline, **options), nl=False)


@app.command("sweep")
def run_sweep(
    file: Annotated[Path, typer.Argument(help="Methods, budgets, seeds, tasks: docs/sweep.md.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run.")] = False,
    workers: Annotated[int, typer.Option(help="How many runs at a time.")] = 1,
) -> None:
    """Run methods × budgets × seeds × tasks as experiments; go on after a kill."""
    from dataselect.sweep.command import sweep_command

    sweep_command(file, dry_run=dry_run, workers=workers)


@app.command()
def runs() -> None:
    """List HEAD, its experiments and the workspace: settings, scores, FLOPs."""
    from dataselect.compare.command import runs_command

    runs_command()


@app.command("report")
def report_page(
    runs: Runs = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    baseline: Baseline = None,
    rows_of: Annotated[str | None, typer.Option(help="The run whose rows are shown.")] = None,
    text_characters: Annotated[int, typer.Option(min=20, help="Of a row's texts.")] = 300,
    most_rows: Annotated[int, typer.Option(min=1, help="Of a larger pool, a sample.")] = 300_000,
    map: Annotated[str, typer.Option(help="pca; or umap, if umap-learn is installed.")] = "pca",  # noqa: A002
) -> None:
    """Write one HTML file: the comparison, figures, settings, and a map and table of the rows."""
    from dataselect.html_report.command import Options, report_command

    report_command(runs or [], out, Options(baseline, rows_of, text_characters, most_rows, map))


@app.command()
def figures(
    runs: Runs = None,
    out: Annotated[Path, typer.Option(help="The folder that is written.")] = Path("figures"),
    only: Annotated[list[str] | None, typer.Option(help="A figure; repeat it for others.")] = None,
    baseline: Baseline = None,
    shared: Annotated[bool, typer.Option("--shared", help="On tests that all runs have.")] = False,
    model: Annotated[str | None, typer.Option(help="Runs of this base model only.")] = None,
    label: Annotated[str, typer.Option(help="Purity: a column of the pool.")] = "source",
) -> None:
    """Draw the papers' figures of runs, as SVG and PNG; needs the extra `figures`."""
    from dataselect.figures.command import figures_command

    options = {"baseline": baseline, "shared": shared, "model": model, "label": label}
    figures_command(runs or [], out, only or [], **options)
