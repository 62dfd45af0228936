"""What every stage's script does around its one call: its section, its errors, its cost."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from dataselect import report, scratch
from dataselect.errors import InputError
from dataselect.settings import function

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
        scratch.sweep(Path("out"))
        yield {} if name == "plan" else json.loads(Path("plan.json").read_text())[name]
    except InputError as error:
        print(f"\ndataselect {name}: {error}\n", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    seconds = time.perf_counter() - start
    if name == "plan":
        return
    scratch.write_json(record(name), {"seconds": round(seconds + sum(earlier), 2)})
    report.console.print(f"{name}: {seconds:.1f} s")


def engine() -> Callable[..., Any]:
    """Where the plan says that work runs: see `engines`."""
    told = json.loads(Path("plan.json").read_text())["engine"]
    return partial(function("engines", told["name"], "plan.json"), **told["settings"])


def record(name: str) -> Path:
    """Where a stage's cost is noted: by its section and those before it."""
    plan = json.loads(Path("plan.json").read_text())
    before = list(plan)[: list(plan).index(name) + 1]
    return scratch.root() / "cost" / f"{name}-{scratch.key([plan[one] for one in before])}.json"
