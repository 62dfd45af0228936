"""The Python API: `dataselect.select` chooses rows as the pipeline does, for a notebook."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dataselect import report
from dataselect.aggregate import run as aggregate
from dataselect.compute import Engine
from dataselect.compute.placement import placed
from dataselect.data import files, tables
from dataselect.data.contamination import write_selected_overlaps
from dataselect.data.given import given_path
from dataselect.data.project_files import project_file
from dataselect.dedup.run import dedup
from dataselect.embed.run import embed
from dataselect.errors import InputError, first_few
from dataselect.plan.params import read_yaml
from dataselect.plan.run import Plan, plan
from dataselect.reference.run import fit_reference
from dataselect.score.run import score
from dataselect.settings import load_part

#: The blocks of params.yaml whose rows may be given instead of their path.
ROWS = ("pool", "queries", "tests")

#: The folder of the files that rows are written to, while `dedup` reads them.
GIVEN = "given"

#: What a folder of `select` holds.
FILES = {f"{name}.parquet" for name in (*ROWS, "dropped", "contamination", "scores", "groups")}
FILES |= {"selection.parquet", "selected_contamination.parquet", "train.jsonl"}
FILES |= {"features", "reference"}


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen rows, and what led to them.

    Attributes:
        frame: the selection, best first: the columns of `out/selection.parquet`.
        folder: the tables that the properties read. One that `select` was not given is removed
            with this object.
    """

    frame: pl.DataFrame
    folder: Path

    @property
    def scores(self) -> pl.DataFrame:
        """The score matrix: the columns of `out/scores.parquet`."""
        return self._table("scores")

    @property
    def groups(self) -> pl.DataFrame:
        """The columns of the score matrix: those of `out/groups.parquet`."""
        return self._table("groups")

    @property
    def pool(self) -> pl.DataFrame:
        """The rows to choose from, with `messages`: the columns of `out/pool.parquet`."""
        return self._table("pool")

    @property
    def dropped(self) -> pl.DataFrame:
        """The rows that were left out, and why: the columns of `out/dropped.parquet`."""
        return self._table("dropped")

    def train_jsonl(self, path: str | os.PathLike[str]) -> Path:
        """Writes the training file, best row first, and returns its path.

        Args:
            path: of the file, which is replaced where it is there.
        """
        with files.atomic_write(Path(path)) as temporary:
            shutil.copyfile(self.folder / "train.jsonl", temporary)
        return Path(path)

    def _table(self, name: str) -> pl.DataFrame:
        return tables.read(name, self.folder / f"{name}.parquet")


def select(
    pool: Any,
    queries: Any = None,
    *,
    model: str | os.PathLike[str] | Mapping[str, Any],
    budget: int | str | Mapping[str, int],
    method: str = "rds",
    folder: str | os.PathLike[str] | None = None,
    **blocks: Any,
) -> Selection:
    """Chooses the rows that the pipeline would choose with the same settings.

    Features and references are kept in the scratch folder (in a project, the project's), where a
    second call, and a run of the pipeline, find them.

    Args:
        pool: rows to choose from: a path, a glob or a list of these; a Polars or pandas frame; a
            list of dictionaries; a Dataset of the library datasets; or the block `pool` of
            params.yaml, whose `path` may be any of these.
        queries: likewise, example rows of the task; None for a method that needs none.
        model: a folder, a name on the hub, or the block `model`.
        budget: a number of rows, a share such as "5%", or `{"tokens": …}`.
        method: a name of methods.yaml: the working directory's, else the package's own.
        folder: for the tables: a new or empty one, or one of an earlier call, which is replaced.
            None: a temporary one.
        blocks: other keys of params.yaml: `seed=1`, `tasks=["sums"]`, `tests=…`, `mix={…}`.

    Raises:
        InputError: a mistake in the settings or the rows; nothing is left behind.
    """
    report.quiet_libraries()
    target = _checked_target(Path(folder)) if folder is not None else None
    named = model if isinstance(model, Mapping) else {"name": os.fspath(model)}
    params = {**blocks, "pool": pool, "queries": queries, "model": named}
    home = _temporary_run({**params, "method": method, "budget": budget})
    if target is not None:
        shutil.rmtree(target, ignore_errors=True)
        home = Path(shutil.move(home, target))
    selection = Selection(tables.read("selection", home / "selection.parquet"), home)
    if target is None:
        weakref.finalize(selection, shutil.rmtree, home, ignore_errors=True)
    return selection


def _temporary_run(params: dict[str, Any]) -> Path:
    """Runs the stages in a folder of its own, beside the features, and returns it."""
    parent = files.scratch_folder() / "select"
    parent.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(dir=parent)).resolve()
    try:
        _run(params, home)
    except BaseException as error:
        shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, InputError):  # of rows that were given, without the file's folder
            message = str(error).replace(f"{home / GIVEN}{os.sep}", "")
            raise InputError(_of_arguments(message)) from None
        raise
    return home


def _of_arguments(message: str) -> str:
    """A message about params.yaml as one about the arguments of `select`, which stand for it."""
    message = re.sub(r"Add `(queries|tests): \{path: …\}`", r"Give `\1`", message)
    message = message.replace("params.yaml: unknown key", "select: unknown argument")
    message = re.sub(r"^params\.yaml: ", "select: ", message, flags=re.M)
    return message.replace(" in params.yaml", "").replace(" Fix it there.", " Give another.")


def choose(
    sections: Plan, out: Path, rows: int | None = None, engine: Engine | None = None
) -> pl.DataFrame:
    """Runs the stages from `reference` to `aggregate`, and returns the selection.

    Args:
        out: the folder of the tables: pool, queries and dropped, and what is written.
        rows: about how many rows lie in a shard; None: as many as suit the feature.
        engine: where the work runs; None: on this machine.

    Raises:
        InputError: as of the stages.
    """
    with placed(engine.placement if engine else None):
        pool, dropped = out / "pool.parquet", out / "dropped.parquet"
        fit_reference(sections.reference, pool, dropped, out / "reference")
    embed(sections.embed, out, rows, engine)
    score(sections.score, out, out / "features", engine)
    return aggregate.select(sections.aggregate, out).table


def _run(params: dict[str, Any], out: Path) -> None:
    """Runs the stages from `plan` to `aggregate`."""
    given = out / GIVEN
    for name in ROWS:
        if params.get(name) is not None:
            params[name] = _with_path(params[name], given, name)
    sections = plan(params, read_yaml(project_file("methods.yaml")))
    with report.progress("rows read", None) as progress:
        dedup(sections.dedup, out, progress)
    if given.exists():
        shutil.rmtree(given)  # the tables have its rows
        path = out / "dropped.parquet"
        place = pl.col("place").str.strip_prefix(f"{given}{os.sep}")
        tables.write("dropped", tables.read("dropped", path).with_columns(place), path)
    choose(sections, out, engine=load_part("compute", sections.engine))
    write_selected_overlaps(out)


def _with_path(block: Any, folder: Path, name: str) -> dict[str, Any]:
    """A block of params.yaml, with a path where rows were given."""
    # A DatasetDict is a mapping too, but of splits.
    is_block = isinstance(block, Mapping) and type(block).__name__ != "DatasetDict"
    settings = dict(block) if is_block else {"path": block}
    if "path" in settings:
        settings["path"] = given_path(settings["path"], folder, name)
    return settings


def _checked_target(folder: Path) -> Path:
    """A folder that may be filled, as an absolute path.

    Raises:
        InputError: it holds something else than an earlier selection, or is no folder.
    """
    found = folder.resolve()
    if found.exists() and not found.is_dir():
        raise InputError(f"folder: `{folder}` is a file. Name a folder.")
    others = sorted({path.name for path in found.iterdir()} - FILES) if found.is_dir() else []
    if others or Path.cwd().is_relative_to(found):
        holds = f"holds {first_few(others)}" if others else "is around the working directory"
        raise InputError(
            f"folder: `{folder}` {holds}. Name a new folder, an empty one, or one that an earlier "
            "`select` has filled."
        )
    return found
