"""Reads a finished run, checks that its files belong together, and hides where they lay."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.data import fingerprint, tables
from dataselect.data.contamination import TaskOverlap, read_selected_overlaps
from dataselect.errors import InputError, first_few, without_secrets
from dataselect.plan.params import read_yaml
from dataselect.settings import from_json
from dataselect.train.run import TrainSection

#: The stages that decide a selection.
STAGES = ("dedup", "reference", "embed", "score", "aggregate")

#: What is read of a run.
NAMES = ("pool", "groups", "selection", "tests", "selected_contamination")
NEEDED = ("plan.json", *(f"out/{name}.parquet" for name in NAMES), "out/train.jsonl")


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    Attributes:
        plan: plan.json.
        rows: the chosen rows, best first: columns of the selection, of the pool, `group_name`.
        in_pool: source → rows of the pool.
        train_file: the training file.
        lines: its lines; more than rows where `mix.epochs` repeats rows.
        tests: task → tests.
        overlaps: the tasks with tests that chosen rows overlap.
        hashes: the MD5 of files of `out/`, and of what dvc.lock lists of the stages' outputs.
        commit: of the project's git repository, and whether files differ from it; None without.
    """

    plan: dict[str, Any]
    rows: pl.DataFrame
    in_pool: dict[str, int]
    train_file: Path
    lines: int
    tests: dict[str, int]
    overlaps: list[TaskOverlap]
    hashes: dict[str, str]
    commit: tuple[str, bool] | None

    @property
    def training(self) -> TrainSection:
        """How the run trains its model."""
        return from_json(TrainSection, self.plan["train"])

    @property
    def has_tools(self) -> bool:
        """Whether a chosen row has tools, calls or results."""
        return "tool_use" in self.rows.columns and self.rows["tool_use"].count() > 0


def read_run(home: Path) -> FinishedRun:
    """The run in a project's folder.

    Raises:
        InputError: there is none, it chose no row, or its files are of different runs.
    """
    if missing := [name for name in NEEDED if not (home / name).exists()]:
        raise InputError(
            f"no finished run in {home.absolute()}: {first_few(missing)} is not there. Run `dvc "
            "repro aggregate`; or, for the files of a run that was, `dvc exp apply NAME`, `dvc "
            "checkout` or `dvc pull`."
        )
    plan, out = json.loads((home / "plan.json").read_text(encoding="utf-8")), home / "out"
    selection = tables.read("selection", out / "selection.parquet")
    if selection.is_empty():
        raise InputError("out/selection.parquet: no row was chosen, so there is none to export.")
    hashes = _checked_hashes(home, plan)
    tests = tables.read("tests", out / "tests.parquet")
    with (out / "train.jsonl").open("rb") as file:
        lines = sum(1 for _ in file)
    sources = pl.scan_parquet(out / "pool.parquet", glob=False).group_by("source").len().collect()
    return FinishedRun(
        plan,
        _rows(selection, out),
        dict(sources.iter_rows()),
        out / "train.jsonl",
        lines,
        dict(tests["task"].value_counts().sort("task").iter_rows()),
        read_selected_overlaps(out, tests),
        hashes,
        _commit(home),
    )


def _rows(selection: pl.DataFrame, out: Path) -> pl.DataFrame:
    pool = pl.scan_parquet(out / "pool.parquet", glob=False)
    tables.check("pool", pool.head(0).collect(), "out/pool.parquet")
    groups = tables.read("groups", out / "groups.parquet").select("group", group_name="name")
    chosen = pool.filter(pl.col("row").is_in(selection["row"].to_list())).collect()
    content = [name for name in chosen.columns if name not in selection.columns]
    rows = selection.join(chosen.select("row", "id", *content), on=["row", "id"], how="inner")
    if rows.height < selection.height:
        raise InputError(
            f"out/selection.parquet: {selection.height - rows.height} of its rows are not in "
            "out/pool.parquet: they are of different runs. Run `dvc repro aggregate`."
        )
    return rows.join(groups, on="group", how="left").sort("rank")


def _checked_hashes(home: Path, plan: dict[str, Any]) -> dict[str, str]:
    """The MD5s of the files that are read, and of what dvc.lock lists; both agree."""
    names = [name for name in NEEDED if name.startswith("out/")]
    hashes = fingerprint.file_hashes([str((home / name).absolute()) for name in names])
    found, lock = dict(zip(names, hashes, strict=True)), home / "dvc.lock"
    if not lock.exists():
        return found
    ran, listed = read_yaml(lock).get("stages", {}), {}
    for stage in STAGES:
        entry = ran.get(stage, {})
        if entry.get("params", {}).get("plan.json", {}).get(stage) != plan[stage]:
            raise InputError(
                f"plan.json: its settings of `{stage}` are not those that out/ was made with. Run "
                "`dvc repro aggregate` or `dvc exp apply NAME`, or bring the run's files back: "
                "`git checkout HEAD -- .` and `dvc checkout`."
            )
        listed |= {out["path"]: out["md5"] for out in entry.get("outs", ())
                   if out["path"].startswith("out/")}  # fmt: skip
    if wrong := [name for name in names if listed.get(name, found[name]) != found[name]]:
        raise InputError(
            f"{first_few(wrong)}: not the file that dvc.lock lists. Run `dvc checkout`, or `dvc "
            "repro aggregate`."
        )
    return listed | found


def _commit(home: Path) -> tuple[str, bool] | None:
    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=home, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "HEAD")
        return (
            (commit, bool(git("status", "--porcelain", "--untracked-files=no"))) if commit else None
        )
    except OSError:  # there is no git
        return None


def shown_path(path: str) -> str:
    """A path as others may see it: one that leads out of the project is only its last name."""
    leads_out = path.startswith(("/", "~", "\\")) or ".." in Path(path).parts
    return Path(path).name if leads_out else path


def shown(value: Any) -> Any:
    """Settings as others may see them: without hashes of code, and without paths of a machine."""
    if isinstance(value, dict):
        return {name: shown(inner) for name, inner in value.items() if name != "code"}
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    return shown_path(value) if isinstance(value, str) and "\n" not in value else value


def cleaned(text: str, folders: Iterable[Path]) -> str:
    """A text without secrets, and without these folders of the machine."""
    text = without_secrets(text)
    for folder in folders:
        if len(folder.parts) > 1:
            text = text.replace(f"{folder}/", "").replace(str(folder), folder.name)
    return text
