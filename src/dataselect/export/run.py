"""The command `dataselect export`: a finished run → a folder to hand on."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from dataselect import report
from dataselect.errors import InputError
from dataselect.export.card import card
from dataselect.export.dataset import with_tools, write_dataset
from dataselect.export.finished import cleaned, read_run
from dataselect.export.trainers import trainer_files


def export(target: Path, home: Path = Path()) -> list[str]:
    """Writes the run of a project as a Hugging Face data set with a card and trainers' settings.

    Args:
        target: the folder; it is there whole, or not at all.
        home: the project's folder.

    Returns:
        The names of the files.

    Raises:
        InputError: there is no finished run, its files are of different runs, or the folder holds
            something.
    """
    target = _checked(target)
    run = read_run(home)
    rows = with_tools(run.rows)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        texts = trainer_files(run)
        machine = [home.resolve(), Path.home()]
        texts = {name: cleaned(text, machine) for name, text in texts.items()}
        texts["README.md"] = cleaned(card(run, rows, list(texts)), machine)
        names = write_dataset(rows, folder)
        shutil.copyfile(run.train_file, folder / "train.jsonl")
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        folder.chmod(0o755)
        if target.exists():
            target.rmdir()  # it is empty
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return ["README.md", *names, "train.jsonl", *sorted(set(texts) - {"README.md"})]


def main(target: Path) -> None:
    """Exports the run of the working directory, and prints what was written."""
    for name in export(target):
        report.console.print(f"{target / name}", markup=False, highlight=False, soft_wrap=True)


def _checked(target: Path) -> Path:
    """The folder, which is not there, or is empty."""
    if target.exists() and not target.is_dir():
        raise InputError(f"`{target}` is a file. Name a folder that is not there yet.")
    if target.is_dir() and any(target.iterdir()):
        raise InputError(
            f"`{target}` is not empty. Name another folder, or remove it; nothing was written."
        )
    return target.absolute()
