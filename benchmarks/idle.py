"""Measures what a run costs that has nothing to do, and how fast commands and stages start.

    python benchmarks/idle.py      # after `make repro`, in its folder

All is measured in turns, so that what else runs on the machine falls on all alike: the run; DVC
alone, in a project of one stage that runs `true`; and the plan, where it still holds and where it
is made anew. Seconds of the clock and of the processor are the least of some times.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from measuring import save_result, temporary_folder

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
STAGES = ("dedup", "score", "aggregate")
COMMANDS = {"--version": ["--version"], "--help": ["--help"], "runs --help": ["runs", "--help"]}
TIMES = 7
PATHS = {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}


def main() -> None:
    """Measures in turns, and saves seconds and shares."""
    for _ in range(2):  # the first may still have found another dvc.lock
        output = _run([BIN / "dvc", "repro"])
    if "Running stage" in output.replace("Running stage 'plan'", ""):
        sys.exit("This run had something to do. Run `make repro` first, then this again.")
    if "Nothing has changed that the plan reads." not in output:
        sys.exit(
            "This plan is made each time, see docs/reruns.md: it is not what is measured here."
        )
    with temporary_folder() as home:
        _empty_project(home)
        measured = _in_turns(_cases(home))
    least, repro = measured["dvc_alone"], measured["repro"]
    shares = {kind: round(least[kind] / repro[kind], 2) for kind in least}
    result = {"repro_seconds": repro["seconds"], "dvc_alone_share_of_repro": shares}
    save_result("idle", {**result, **measured})


def _cases(home: Path) -> dict[str, Callable[[], object]]:
    """What is measured: name → a call of it."""
    plan = [sys.executable, "stages/plan.py"]
    cases: dict[str, Callable[[], object]] = {
        "repro": lambda: _run([BIN / "dvc", "repro"]),
        "dvc_alone": lambda: _run([BIN / "dvc", "repro"], home),
        "dvc_version": lambda: _run([BIN / "dvc", "--version"]),
        "plan_made": lambda: _run(plan, DATASELECT_BENCHMARK=str(time.time_ns())),
        "plan_holds": lambda: _run(plan),
    }
    cases |= {f"start of {stage}": lambda s=stage: _import(s) for stage in STAGES}
    command = [BIN / "dataselect"]
    cases |= {name: lambda w=words: _run([*command, *w]) for name, words in COMMANDS.items()}
    return cases


def _in_turns(cases: dict[str, Callable[[], object]]) -> dict[str, dict[str, float]]:
    """The least seconds and processor seconds of each case."""
    best = dict.fromkeys(cases, (float("inf"), float("inf")))
    for _ in range(TIMES):
        for name, call in cases.items():
            if name == "plan_holds":
                call()  # the turn before was another environment's
            start, before = time.perf_counter(), _processor_seconds()
            call()
            took = (time.perf_counter() - start, _processor_seconds() - before)
            best[name] = (min(best[name][0], took[0]), min(best[name][1], took[1]))
    return {
        name: {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2)}
        for name, (seconds, cpu) in best.items()
    }


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _empty_project(home: Path) -> None:
    """A project of DVC with this one's settings, and one stage that always runs."""
    (home / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", home / ".dvc/config")
    stage = {"cmd": "true", "always_changed": True}
    (home / "dvc.yaml").write_text(json.dumps({"stages": {"plan": stage}}))
    _run(["git", "init", "--quiet"], home)
    _run([BIN / "dvc", "repro"], home)


def _run(command: Sequence[Path | str], folder: Path = ROOT, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True,
        env={**os.environ, **PATHS, **variables},
    )  # fmt: skip
    return done.stdout


def _import(stage: str) -> None:
    """Runs a stage's script up to its `main()`: what it imports, without its work."""
    _run([sys.executable, "-c", f"import runpy; runpy.run_path('stages/{stage}.py')"])


if __name__ == "__main__":
    main()
