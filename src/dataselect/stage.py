"""What surrounds every stage: its section of plan.json, the lock, errors, seconds."""

from __future__ import annotations

import atexit
import gc
import json
import os
import shutil
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from dataselect import report
from dataselect.compute.memory import is_out_of_memory
from dataselect.data import files, locks
from dataselect.errors import InputError, disk_fails, disk_is_full
from dataselect.machine import machine_memory

if TYPE_CHECKING:
    from dataselect.compute import Engine

S = TypeVar("S")

PLAN = Path("plan.json")

#: Stage → what lowers its memory; the others have no setting that does.
LESS_MEMORY = {
    "reference": "Lower the reference's `micro_batch_size` or the model's `max_tokens`. ",
    "embed": "Lower the selector model's `max_tokens`, or set its `dtype: bfloat16`. ",
    "score": "Take a smaller pool (`pool.where`), or a method that scores each row by itself. ",
    "aggregate": "Lower `budget`. ",
    "train": "Lower `train.micro_batch_size` or `model.max_tokens`. ",
    "eval": "Lower `eval.max_new_tokens`, or score fewer tests. ",
    "baseline": "Lower `eval.max_new_tokens`, or score fewer tests. ",
}


@dataclass
class StageRun(Generic[S]):
    """One run of a stage.

    Attributes:
        section: the stage's section of plan.json.
        figures: what the stage notes in `metrics/<stage>.json` beside its seconds.
        resumed_seconds: seconds that earlier, interrupted runs spent on what was found finished.
    """

    section: S
    figures: dict[str, Any] = field(default_factory=dict)
    resumed_seconds: float = 0.0


@contextmanager
def stage(name: str, section: type[S]) -> Generator[StageRun[S]]:
    """Runs the body as a stage of the pipeline.

    Yields what the body works with. At its end, `metrics/<name>.json` holds its figures and its
    seconds, and the seconds are printed. A user's mistake ends the process with one message on
    standard error and exit status 1.

    Args:
        section: the dataclass of the stage's section of plan.json.
    """
    try:
        begin()
        with _exclusive(name):
            start = time.perf_counter()
            files.remove_partials(Path("out"))
            for folder in Path("out").glob("*/"):
                files.remove_partials(folder, ".*.????????")
            for folder in ("metrics", "metrics/plots"):  # where the user may have files, in git
                files.remove_partials(Path(folder), ".*.json.????????")
            run = StageRun(_section(name, section))
            yield run
            seconds = time.perf_counter() - start
            figures = {"seconds": round(seconds + run.resumed_seconds, 2), **run.figures}
            files.write_json(Path(f"metrics/{name}.json"), figures)
    except BaseException as error:
        end_with_message(name, error)
    report.console.print(f"{name}: {seconds:.1f} s")


def begin() -> None:
    """Quiets libraries; and fails where a test says: see `crash_points`."""
    report.quiet_libraries()
    if setting := os.environ.get("DATASELECT_FAIL_AT"):
        from dataselect.data import crash_points

        crash_points.start(setting)


def read_section(name: str) -> Any:
    """A section of plan.json.

    Raises:
        InputError: there is no plan, or it has no such section.
    """
    if not PLAN.exists():
        raise InputError("plan.json is not there. Run `dvc repro`, from the project's folder.")
    sections = json.loads(PLAN.read_text())
    if name not in sections:
        raise InputError(f"plan.json: no section `{name}`. Run `dvc repro plan`.")
    return sections[name]


def _section(name: str, schema: type[S]) -> S:
    """A section of plan.json as its dataclass.

    Raises:
        InputError: it is of another version of the program.
    """
    from pydantic import ValidationError

    from dataselect.settings import from_json

    try:
        return from_json(schema, read_section(name))
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(str(part) for part in (name, *wrong["loc"]))
        raise InputError(
            f"plan.json: {place}: {wrong['msg']}; another version of the program wrote it. Run "
            "`dvc repro plan`."
        ) from None


def engine() -> Engine:
    """Where the plan says that work runs: the one section that a stage reads beside its own.

    It changes where work runs, and results by rounding at most; so no stage depends on it.
    """
    from dataselect.settings import Part, from_json, load_part

    return load_part("compute", from_json(Part, read_section("engine")))


def collect_less() -> None:
    """Spares a short process the search for cycles: while it imports, and when it ends.

    Imports make many objects and leave hardly a cycle. At the end Python goes through all of them
    twice more, which took a fifth of a command's time; the system frees the memory anyway.
    """
    gc.set_threshold(100_000)
    atexit.register(_leave_objects)


def _leave_objects() -> None:
    """Hides all objects from the collector; not those of DuckDB, which prints what is left."""
    if "duckdb" not in sys.modules:
        gc.freeze()


def end_with_message(name: str, error: BaseException) -> NoReturn:
    """Ends the process with a message where the error is a user's, else raises it again."""
    if isinstance(error, InputError):
        _end(name, str(error))
    if isinstance(error, KeyboardInterrupt):
        _end(name, "stopped. Finished work is kept: `dvc repro` continues from there.", 130)
    if isinstance(error, Exception) and disk_is_full(error):
        free = report.format_bytes(shutil.disk_usage(Path.cwd()).free)
        _end(
            name,
            f"the disk is full: {error}. {free} are free in {Path.cwd()}. Finished work is kept "
            f"in {files.scratch_folder()}. Free some space (`dvc gc -w` removes what older runs "
            "left in DVC's cache) and run `dvc repro` again: it continues from here.",
        )
    if isinstance(error, Exception) and (reason := disk_fails(error)):
        _end(
            name,
            f"the disk fails: {reason}. Finished work is kept in {files.scratch_folder()}. Check "
            "the disk (`dmesg` may say more) and run `dvc repro` again: it continues from here.",
        )
    if isinstance(error, Exception) and is_out_of_memory(error):
        _end(name, _out_of_memory(name, error))
    raise error


def _out_of_memory(name: str, error: Exception) -> str:
    """What to do where a stage's memory does not suffice."""
    available = report.format_bytes(round(machine_memory()))
    found = str(error) or type(error).__name__
    return (
        f"out of memory: this process may use {available}. It ended with: {found}. "
        f"{LESS_MEMORY.get(name, '')}Raise the limit (of the container, its cgroup or `ulimit`), "
        "or stop other programs. Finished work is kept in "
        f"{files.scratch_folder()}: `dvc repro` continues from there."
    )


def _waiting(note: Path, holder: locks.Holder | None) -> str:
    """What to print while another stage runs, which has noted itself in a file."""
    try:
        found = json.loads(note.read_text())
    except (OSError, ValueError):  # it has the lock, and has not written the note yet
        return "another stage still runs in this folder; waiting for it"
    holder = holder or locks.Holder(found["process"], "")
    where = ", on that machine" if holder.machine else ""
    return (
        f"the stage {found['stage']} of an earlier run still runs in this folder, as {holder}; "
        f"waiting for it. To stop it instead{where}: kill {holder.process}"
    )


def _end(name: str, message: str, status: int = 1) -> NoReturn:
    print(f"\n{f'dataselect {name}'.strip()}: {message}\n", file=sys.stderr)  # noqa: T201
    sys.exit(status)


@contextmanager
def _exclusive(name: str) -> Generator[None]:
    """Waits for a stage that still runs in this folder: only its DVC may have been killed.

    The lock of a process that ends is free, however it ends; its file stays.
    """
    if not Path(".dvc").is_dir():
        yield
        return
    note = Path(".dvc/tmp/stage.json")
    with locks.exclusive(Path(".dvc/tmp/stage.lock"), partial(_waiting, note), patience=0):
        files.write_json(note, {"stage": name, "process": os.getpid()})
        yield
