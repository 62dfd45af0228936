"""Measures what a run costs that has nothing to do, and how fast the stages without a model start.

python benchmarks/idle.py      # after `make repro`, in its folder
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from measuring import best_of, save_result

ROOT = Path(__file__).parent.parent
STAGES = ("plan", "dedup", "score", "aggregate")
TIMES = 5


def main() -> None:
    """The fastest of some runs of each."""
    dvc = str(Path(sys.executable).parent / "dvc")
    output = _run([dvc, "repro"])
    if "Running stage" in output.replace("Running stage 'plan'", ""):
        sys.exit("This run had something to do. Run `make repro` first, then this again.")
    idle = best_of(TIMES, lambda: _run([dvc, "repro"]))
    starts = {stage: round(best_of(TIMES, lambda s=stage: _import(s)), 2) for stage in STAGES}
    save_result("idle", {"repro_seconds": round(idle, 2), "start_seconds": starts})


def _run(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _import(stage: str) -> None:
    """Runs a stage's script up to its `main()`: what it imports, without its work."""
    _run([sys.executable, "-c", f"import runpy; runpy.run_path('stages/{stage}.py')"])


if __name__ == "__main__":
    main()
