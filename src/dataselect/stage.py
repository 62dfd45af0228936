"""What every stage's script does around its one call: its section, its errors, its cost."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from filelock import FileLock, Timeout

from dataselect import report
from dataselect.data import files
from dataselect.errors import InputError, disk_is_full
from dataselect.settings import part_function

#: Seconds that earlier, interrupted runs of this stage spent on what this one found finished.
earlier: list[float] = []


@contextmanager
def stage(name: str) -> Generator[dict[str, Any]]:
    """Yields the stage's section of plan.json; ends with its seconds, or with a user's mistake.

    The seconds, with `earlier`, go to the scratch folder, not to an out: they never repeat, and
    nothing may run again because of them. A mistake is one message on standard error and exit
    status 1.
    """
    report.quiet_libraries()
    start = time.perf_counter()
    try:
        if name != "plan" and not Path("plan.json").exists():
            raise InputError("plan.json is not there. Run `dvc repro`, from the project's folder.")
        with _alone():
            files.remove_partials(Path("out"))
            yield {} if name == "plan" else json.loads(Path("plan.json").read_text())[name]
    except InputError as error:
        _end(name, str(error))
    except KeyboardInterrupt:
        _end(name, "stopped. What was finished is kept: `dvc repro` goes on from there.", 130)
    except Exception as error:
        if not disk_is_full(error):
            raise
        free = shutil.disk_usage(Path.cwd()).free
        _end(
            name,
            f"nothing more can be written: {error}. {report.format_bytes(free)} are free in {Path.cwd()}. "
            f"What was finished is kept in {files.scratch_folder()}. Make room there (`dvc gc -w` removes "
            "what older runs left in DVC's cache) and run `dvc repro` again: it goes on from here.",
        )
    seconds = time.perf_counter() - start
    if name == "plan":
        return
    files.write_json(record(name), {"seconds": round(seconds + sum(earlier), 2)})
    report.console.print(f"{name}: {seconds:.1f} s")


def _end(name: str, message: str, status: int = 1) -> NoReturn:
    print(f"\ndataselect {name}: {message}\n", file=sys.stderr)  # noqa: T201
    sys.exit(status)


@contextmanager
def _alone() -> Generator[None]:
    """Waits for a stage that is still at work in this folder, since only its DVC was killed."""
    if not Path(".dvc").is_dir():
        yield
        return
    lock = FileLock(".dvc/tmp/stage.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report.console.print("an earlier stage is still at work in this folder; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def engine() -> Callable[..., Any]:
    """Where the plan says that work runs: see `engines`."""
    told = json.loads(Path("plan.json").read_text())["engine"]
    return partial(part_function("compute", told["name"], "plan.json"), **told["settings"])


def record(name: str) -> Path:
    """Where a stage's cost is noted: by its section and those before it."""
    plan = json.loads(Path("plan.json").read_text())
    before = list(plan)[: list(plan).index(name) + 1]
    return (
        files.scratch_folder()
        / "cost"
        / f"{name}-{files.content_key([plan[one] for one in before])}.json"
    )
