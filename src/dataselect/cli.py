"""The command `dataselect`: what goes beyond `dvc repro` and plain DuckDB."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dataselect import __version__, cli_runs, report
from dataselect.stage import collect_less, end_with_message

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dataselect {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Choose the instruction rows that teach a language model your task."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Empty, or in a git repository.")] = Path(),
    pool: Annotated[list[str] | None, typer.Option(help="Rows to choose from: file, glob.")] = None,
    queries: Annotated[list[str] | None, typer.Option(help="Example rows of the tasks.")] = None,
    tests: Annotated[list[str] | None, typer.Option(help="Tests of the tasks.")] = None,
    model: Annotated[str | None, typer.Option(help="A folder, or a name on the hub.")] = None,
    method: Annotated[str | None, typer.Option(help="A method of methods.yaml.")] = None,
    budget: Annotated[str | None, typer.Option(help="Rows, or a share such as 5%.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="The demo: all files included.")] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Compare a project's files with this version's.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --update: write the files.")] = False,
) -> None:
    """Make a new DVC project, with your own files in its params.yaml; or update one."""
    from dataselect.project.command import init

    init(
        folder,
        {"pool": pool or [], "queries": queries or [], "tests": tests or []},
        {"model": model, "method": method, "budget": budget},
        demo=demo,
        update=update,
        apply=yes,
    )


@app.command()
def estimate() -> None:
    """Say what the run that params.yaml asks for will take: memory, time, FLOPs and disk."""
    from dataselect.plan import estimate

    estimate.main()


@app.command()
def sql(
    file: Annotated[Path | None, typer.Argument(help="A recipe, like sql/chosen_by.sql.")] = None,
    values: Annotated[list[str] | None, typer.Argument(help="Its variables: name=value.")] = None,
    statement: Annotated[str | None, typer.Option("-c", help="A statement to answer.")] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(help="RUN or NAME=RUN: a folder, experiment, revision; may be repeated."),
    ] = None,
) -> None:
    """Answer a question about the outputs in SQL; without one, open DuckDB's command line."""
    from dataselect.ask import recipe

    recipe.main(file, values or [], statement, run or [])


@app.command()
def why(
    row: Annotated[str, typer.Argument(help="A row of the pool: its id or number.")],
    out: Annotated[Path, typer.Option(help="The folder of the outputs.")] = Path("out"),
    top: Annotated[int, typer.Option(min=1, help="How many groups, queries, rows to list.")] = 5,
) -> None:
    """Say why a row was chosen, or not, or left out of the pool."""
    from dataselect.ask import why

    why.main(row, out, top)


app.add_typer(cli_runs.app)


@app.command()
def params() -> None:
    """List every setting of params.yaml and methods.yaml: type, default, meaning."""
    from dataselect.plan.params_page import page

    typer.echo(page(), nl=False)


@app.command()
def tasks() -> None:
    """List the papers' tasks: queries, tests, shots, how they are scored, what they need."""
    from dataselect.plan.tasks import show_tasks

    show_tasks()


@app.command()
def profile(
    name: Annotated[
        str | None, typer.Argument(help="A profile; without it, all are listed.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Another method of methods.yaml.")] = None,
    budget: Annotated[str | None, typer.Option(help="Rows, or a share such as 5%.")] = None,
    model: Annotated[str | None, typer.Option(help="Another model to train.")] = None,
    selector: Annotated[str | None, typer.Option(help="Another model to measure rows.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than 0.")] = None,
    write: Annotated[Path | None, typer.Option(help="Write this file, like params.yaml.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Show a published set-up as params.yaml, its cost and its published results; or write it."""
    from dataselect.plan.profile_page import list_profiles, show_profile

    if name is None:
        list_profiles()
        return
    changes = {"method": method, "model": model, "selector": selector, "seed": seed}
    changes["budget"] = int(budget) if budget and budget.isdecimal() else budget
    show_profile(name, changes, write, force)


@app.command()
def pools() -> None:
    """List the papers' pools: rows, data set, whether it was verified, and fetched."""
    from dataselect.plan.pools import show_pools

    show_pools()


@app.command()
def adopt(
    stage: Annotated[str, typer.Argument(help="The stage: embed.")],
    tolerance: Annotated[
        float, typer.Option(help="The largest difference of a number that still counts as equal.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Draws the shards that are computed again.")] = 0,
) -> None:
    """Keep stored features after a change of code that did not change them.

    Three shards are computed again. If they equal the stored ones, all are kept.
    """
    from dataselect.plan.adopt import adopt

    adopt(stage, tolerance, seed)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet, or is empty.")],
) -> None:
    """Write the run's rows as a Hugging Face data set: card, files for TRL and other trainers."""
    from dataselect.export import run

    run.main(folder)


def main() -> None:
    """Runs the command; a user's mistake is one message and exit status 1."""
    report.quiet_libraries()
    collect_less()
    try:
        app(standalone_mode=True)
    except Exception as error:
        end_with_message(next((word for word in sys.argv[1:] if word[0] != "-"), ""), error)


if __name__ == "__main__":
    main()
