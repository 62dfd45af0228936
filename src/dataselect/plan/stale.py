"""Removes scores, costs and plots that are another run's than the one just planned.

They are small files in git, so they lie in the folder from the last commit on. After a run of a
part of the pipeline, `dvc exp show` would print them beside the new run's settings.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from dataselect.plan.params import read_yaml

#: A stage's files in git, and the stages whose sections decide them, in the order of the pipeline.
SELECTION = ("dedup", "reference", "embed", "score", "aggregate")
SCORES = (*SELECTION, "train", "baseline", "eval")
DECIDED_BY = {
    "metrics/plots/pool_sources.json": ("dedup",),
    "metrics/plots/pool_lengths.json": ("dedup",),
    "metrics/plots/pool_dropped.json": ("dedup",),
    "metrics/plots/pool_turns.json": ("dedup",),
    "metrics/plots/sources.json": SELECTION,
    "metrics/plots/scores.json": SELECTION,
    "metrics/plots/tasks.json": SCORES,
    "metrics/eval.json": SCORES,
    "metrics/cost.json": (*SCORES, "cost"),
}


def remove_stale(home: Path = Path()) -> str | None:
    """Removes every file of `DECIDED_BY` that a run with other sections than plan.json's left.

    `dvc.lock` says with which sections each stage ran last. DVC brings the files back: from its
    run cache, or by running the stages again.

    Args:
        home: the project's folder; its plan.json was just written.

    Returns:
        A line that names the files that were removed; None where none was.

    Raises:
        InputError: dvc.lock is not YAML.
    """
    sections, lock = json.loads((home / "plan.json").read_text()), home / "dvc.lock"
    ran = read_yaml(lock).get("stages", {}) if lock.exists() else {}
    changed = {name for name in DECIDED_BY["metrics/cost.json"]
               if _section(ran, name) != sections[name]}  # fmt: skip
    stale = [
        name
        for name, stages in DECIDED_BY.items()
        if changed.intersection(stages) and (home / name).exists()
    ]
    if not stale:
        return None
    from_git = ", and so does `git checkout metrics`" if _in_git(stale, home) else ""
    for name in stale:
        (home / name).unlink()
    return (
        f"removed, because they belong to another run: {', '.join(stale)}. With that run's "
        f"settings, `dvc repro` brings them back{from_git}"
    )


def _in_git(names: list[str], home: Path) -> bool:
    """Whether git tracks one of these files."""
    try:
        command = ["git", "ls-files", "--", *names]
        return bool(subprocess.run(command, cwd=home, capture_output=True, check=False).stdout)
    except OSError:  # there is no git
        return False


def _section(ran: dict[str, Any], stage: str) -> Any:
    """The section that a stage of dvc.lock ran with; None where it never ran."""
    return ran.get(stage, {}).get("params", {}).get("plan.json", {}).get(stage)
