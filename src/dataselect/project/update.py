"""Brings a project's files up to the installed version: `dataselect init --update`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from dataselect import __version__, report
from dataselect.errors import InputError, first_few
from dataselect.project import templates
from dataselect.project.manifest import NAME, USERS, Manifest, digest, manifest_of, read_manifest
from dataselect.project.writing import all_or_nothing

#: A file above this size is compared, and its differences are not printed: the page of plots.
MOST_BYTES = 100_000

STYLES = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True)
class Change:
    """A file that differs from that of the installed version.

    Attributes:
        name: the file, relative to the project's folder.
        before, after: its content now, empty where it is not there, and in the installed version.
        target: the file to write: `NAME.new` where the user changed NAME.
    """

    name: str
    before: bytes
    after: bytes
    target: str


def update(folder: Path, *, apply: bool) -> None:
    """Prints what a newer version's files have otherwise, and writes them.

    A file that the user changed is kept; the newer one is written beside it, as `NAME.new`. Files
    that the user removed stay away. `params.yaml` and the configuration of git and DVC are never
    touched.

    Args:
        apply: whether files are written, not only compared.

    Raises:
        InputError: the folder is not a project that `dataselect init` made; or a `NAME.new` of an
            earlier update is still there.
    """
    manifest = read_manifest(folder)
    new = templates.contents()
    changes = changed_files(folder, manifest, new)
    report.console.print(f"files of version {manifest.version}; installed: {__version__}")
    for change in changes:
        report.console.print(_diff(change), soft_wrap=True)
    _show_kept(manifest, new, changes)
    if not apply:
        if changes:
            command = f"dataselect init --update --yes {folder}"
            report.console.print(Text(f"Nothing was written. To apply: {command}"), soft_wrap=True)
        return
    if left := [change.target for change in changes if _is_left(folder, change)]:
        raise InputError(
            f"{folder}: {first_few(left)}: left from an earlier update. Take from it what you "
            "want, remove it, and run this again."
        )
    with all_or_nothing() as writer:
        for change in changes:
            writer.write(folder / change.target, change.after)
        writer.write(folder / NAME, manifest_of(new).as_bytes())
    report.console.print(f"{len(changes)} files written")


def changed_files(folder: Path, manifest: Manifest, new: dict[str, bytes]) -> list[Change]:
    """The files to write, in alphabetical order.

    Args:
        manifest: what the project was made of.
        new: the installed version's files: name → content.
    """
    changes = []
    for name, after in sorted(new.items()):
        path, known = folder / name, manifest.files.get(name)
        if name in USERS or digest(after) == known or (known is not None and not path.exists()):
            continue  # the user's; or no newer version; or the user removed it
        before = path.read_bytes() if path.exists() else b""
        if before == after:
            continue
        is_changed = path.exists() and digest(before) != known
        changes.append(Change(name, before, after, f"{name}.new" if is_changed else name))
    return changes


def _is_left(folder: Path, change: Change) -> bool:
    return change.target != change.name and (folder / change.target).exists()


def _show_kept(manifest: Manifest, new: dict[str, bytes], changes: list[Change]) -> None:
    """Prints which files need the user's own decision."""
    kept = [change.name for change in changes if change.target != change.name]
    if kept:
        report.console.print(Text(f"changed by you, and kept: {', '.join(kept)}. "
                                  "The newer version goes to NAME.new."))  # fmt: skip
    if unused := sorted(manifest.files.keys() - new.keys()):
        report.console.print(Text(f"no longer used, remove them if you like: {', '.join(unused)}"))
    if not changes:
        report.console.print("The files are those of the installed version, or your own.")


def _diff(change: Change) -> Text:
    """A file's differences as `diff -u` writes them, in colours."""
    if max(len(change.before), len(change.after)) > MOST_BYTES:
        return Text(f"{change.name}: {len(change.before):,} → {len(change.after):,} bytes\n")
    before, after = (text.decode(errors="replace") for text in (change.before, change.after))
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), change.name, change.target, lineterm=""
    )
    text = Text()
    for line in lines:
        is_head = line.startswith(("---", "+++"))
        text.append(f"{line}\n", style="bold" if is_head else STYLES.get(line[:1], ""))
    return text
