"""Measures what a run costs that has nothing to do, and how fast the stages without a model start.

python benchmarks/idle.py      # after `make repro`, in its folder
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from measuring import best_of, keep

ROOT = Path(__file__).parent.parent
STAGES = ("plan", "dedup", "score", "aggregate")
TIMES = 5


def main() -> None:
    """The fastest of some runs of each."""
    dvc = str(Path(sys.executable).parent / "dvc")
    said = _run([dvc, "repro"])
    if "Running stage" in said.replace("Running stage 'plan'", ""):
        sys.exit("This run had something to do. Run `make repro` first, then this again.")
    idle = best_of(TIMES, lambda: _run([dvc, "repro"]))
    starts = {stage: round(best_of(TIMES, lambda s=stage: _start(s)), 2) for stage in STAGES}
    keep("idle", {"repro_seconds": round(idle, 2), "start_seconds": starts})


def _run(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _start(stage: str) -> None:
    """What a stage's script imports, without its work."""
    lines = (ROOT / "stages" / f"{stage}.py").read_text().splitlines()
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    _run([sys.executable, "-c", "\n".join(imports)])


if __name__ == "__main__":
    main()
