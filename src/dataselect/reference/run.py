"""The reference stage: fits the model that measures the pool, where a method needs that."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dataselect.data import checksums, files, fingerprint, locks, tables
from dataselect.data.budget import Budget, TokenBudget, budget_rows
from dataselect.data.checkpoints import REFERENCE_FILE, Checkpoint, Fitted, write_checkpoints
from dataselect.data.mix import MixSettings
from dataselect.data.quotas import check_sources
from dataselect.models.settings import ModelSettings
from dataselect.reference import Reference
from dataselect.settings import Part, load_part

#: The file, in the scratch folder of a reference, that says what came of fitting it.
FINISHED = "finished.json"


@dataclass(frozen=True)
class ReferenceSection:
    """The plan's section `reference`.

    Attributes:
        reference: the reference and its settings; None for a method without one.
        model: the model that is fitted; None without a reference.
        threads: CPU threads; None leaves torch's default. Another number changes the last bits.
        budget: a number of rows, a share of the pool such as "5%", or a number of tokens. It is
            only checked here, before anything costs, and decides nothing.
        mix: how the selection is divided; likewise.
        code: the hash of the code that decides the checkpoints; empty without a reference.
    """

    reference: Part | None
    model: ModelSettings | None
    threads: int | None
    budget: Budget
    code: str
    mix: MixSettings | None = None


@dataclass(frozen=True)
class Outcome:
    """What the stage did.

    Attributes:
        name: the reference's name; None without one.
        fitted: its checkpoints, and what fitting them took; None without a reference.
        resumed_seconds: what an earlier run took to fit it; 0 where it was fitted in this run.
    """

    name: str | None = None
    fitted: Fitted | None = None
    resumed_seconds: float = 0.0


def fit_reference(section: ReferenceSection, pool: Path, dropped: Path, out: Path) -> Outcome:
    """Writes the reference's checkpoints, and a file that lists them, to the folder `out`.

    They stay in the scratch folder too: a run that was killed continues there, and another
    experiment finds them.

    Args:
        pool: the pool's table.
        dropped: the table of the rows that dedup dropped, for the message about the budget.

    Raises:
        InputError: the budget is above the pool, which cannot meet the quotas, or has no source
            of a name; or there is nothing to fit on.
    """
    rows = budget_rows(section.budget, tables.row_count(pool), tables.read("dropped", dropped))
    if section.mix:
        in_tokens = isinstance(section.budget, TokenBudget)
        check_sources(pool, section.mix, None if in_tokens else rows)
    if section.reference is None:
        write_checkpoints(out / REFERENCE_FILE, [])
        return Outcome()
    home = files.scratch_folder() / "reference" / _key(section, pool)
    home.mkdir(parents=True, exist_ok=True)
    with locks.exclusive(home.with_suffix(".lock"), "the same reference"):
        finished = _finished(home)
        resumed_seconds = finished["seconds"] if finished else 0.0
        figures = (finished or _fit(section, pool, home))["figures"]
        _remove_trainer_checkpoints(home)
    checkpoints = [Checkpoint(out / name, rate) for name, rate in figures.pop("checkpoints")]
    for folder, _ in checkpoints:
        for path in sorted((home / "checkpoints" / folder.name).iterdir()):
            if path.name != checksums.SEAL:
                files.hardlink_or_copy(path, folder / path.name)
        files.sync(folder)
    write_checkpoints(out / REFERENCE_FILE, checkpoints, **figures)
    return Outcome(section.reference.name, Fitted(checkpoints, **figures), resumed_seconds)


def _finished(home: Path) -> dict[str, Any] | None:
    """What `_fit` returned in an earlier run, if its checkpoints are as they were written."""
    finished = checksums.read_checked(home / FINISHED)
    if finished is None:
        return None
    for name, _ in finished["figures"]["checkpoints"]:
        if not checksums.is_sealed(home / "checkpoints" / name):
            return None
    return finished


def _fit(section: ReferenceSection, pool: Path, home: Path) -> dict[str, Any]:
    """Fits the reference in its scratch folder; writes what it returns to a file there, last.

    Returns:
        `seconds`; and `figures`: a `Fitted`, its checkpoints by the names of their folders.
    """
    from dataselect.compute.threads import use_threads

    assert section.reference is not None and section.model is not None  # plan gives both or none
    reference: Reference = load_part("reference", section.reference)
    use_threads(section.threads)
    start = time.perf_counter()
    fitted = reference.fit(section.model, pool, home)
    figures = fitted._asdict()
    figures["checkpoints"] = [[folder.name, rate] for folder, rate in fitted.checkpoints]
    finished = {"seconds": round(time.perf_counter() - start, 2), "figures": figures}
    checksums.write_checked(home / FINISHED, finished)
    return finished


def _key(section: ReferenceSection, pool: Path) -> str:
    """What decides a reference: its section but budget and mix, the pool, the precision."""
    from dataselect.models.precision import dtype_name
    from dataselect.train.fit import Recipe
    from dataselect.train.nets import computes_in_bfloat16

    deciding = asdict(section)
    del deciding["budget"], deciding["mix"]
    pool_hash = fingerprint.file_hashes([str(pool)])
    # What `auto` is for measuring, and for fitting: a processor may differ in the two.
    precision = [dtype_name("auto"), computes_in_bfloat16(Recipe())]
    return files.content_key(deciding, pool_hash, precision)


def _remove_trainer_checkpoints(home: Path) -> None:
    """Removes the checkpoints that only a resumed run would need."""
    for folder in home.glob("checkpoint-*"):
        shutil.rmtree(folder)
