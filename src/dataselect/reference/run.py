"""Fits the model that looks at the data, where a method has one: once for the same rows."""

from __future__ import annotations

import json
import shutil
import time
from inspect import getsourcefile
from pathlib import Path
from typing import Any

from filelock import FileLock

from dataselect.data import files, fingerprint
from dataselect.data.checkpoints import REFERENCE_FILE, Fitted, read_checkpoints, write_checkpoints
from dataselect.settings import part_function
from dataselect.stage import earlier


def fit_reference(section: dict[str, Any], pool: Path, out: Path) -> Fitted | None:
    """Writes the checkpoints of the plan's `reference` section to `out`; without one, only a note.

    What was fitted stays in the scratch folder, where a run that was killed goes on and another
    experiment finds it.
    """
    if not section:
        write_checkpoints(out / REFERENCE_FILE, [])
        return None
    reference, model = section["reference"], section["model"]
    of = part_function("reference", reference["name"], "plan.json")
    home = files.scratch_folder() / "reference" / _key(section, pool, Path(str(getsourcefile(of))))
    home.mkdir(parents=True, exist_ok=True)
    finished = home / "fitted.json"
    with FileLock(home.with_suffix(".lock")):
        if finished.exists():
            earlier.append(json.loads((home / "seconds.json").read_text()))
        else:
            from dataselect.compute.threads import use_threads

            use_threads(section["threads"])
            start = time.perf_counter()
            fitted = of(model, pool, home, **reference["settings"])
            files.write_json(home / "seconds.json", round(time.perf_counter() - start, 2))
            _remove_trainer_checkpoints(home)
            found = fitted._asdict()
            write_checkpoints(finished, found.pop("checkpoints"), **found)
    told = json.loads(finished.read_text())
    for name, _ in told.pop("checkpoints"):
        for path in sorted((home / "checkpoints" / name).iterdir()):
            files.hardlink_or_copy(path, out / name / path.name)
    files.hardlink_or_copy(finished, out / REFERENCE_FILE)
    return Fitted(read_checkpoints(out), **told)


def _key(section: dict[str, Any], pool: Path, file: Path) -> str:
    """What decides a reference: its section, the pool, its code, and the precision of fitting."""
    from dataselect.models.load import torch_dtype

    rows = fingerprint.file_hashes([str(pool)])
    return files.content_key(section, rows, fingerprint.code_hash(file), str(torch_dtype("auto")))


def _remove_trainer_checkpoints(home: Path) -> None:
    """Removes what only a resumed run would have needed."""
    for folder in home.glob("checkpoint-*"):
        shutil.rmtree(folder)
