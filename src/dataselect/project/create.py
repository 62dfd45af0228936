"""Makes a new project: the command `dataselect init`."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.text import Text

from dataselect import report
from dataselect.errors import InputError, first_few
from dataselect.plan.params import read_yaml
from dataselect.project import repositories, templates
from dataselect.project.inputs import Inputs, check_inputs
from dataselect.project.manifest import NAME, manifest_of
from dataselect.project.params_file import open_points, params_yaml
from dataselect.project.writing import Writer, all_or_nothing

#: Files of the user's that may be there already: what is missing is added at their ends.
LISTS = (".gitignore", ".dvcignore")


def create(folder: Path, inputs: Inputs, *, demo: bool) -> None:
    """Makes a DVC project in a folder, and a git repository where there is none.

    Everything is checked before anything is written; a failure leaves nothing behind.

    Args:
        inputs: what the user named; nothing with `demo`.
        demo: whether the project is that of the demo, with its pool, tasks and model.

    Raises:
        InputError: the folder, or a file that the user named, cannot be used; or the project's
            files are there already.
    """
    if demo and inputs != Inputs(pool=[], queries=[], tests=[]):
        raise InputError("--demo brings its own files and settings. Leave out the other options.")
    folder = folder.absolute().resolve()
    repository = repositories.git_root(folder)
    files = templates.contents()
    found = check_inputs(inputs)
    if demo:
        root = templates.root()
        files |= {
            name: (root / name).read_bytes() for name in templates.names(root, templates.DEMO)
        }
    else:
        methods = read_yaml(templates.root() / "methods.yaml")
        files["params.yaml"] = params_yaml(files["params.yaml"], methods, inputs, folder)
    repositories.check_place(folder, repository)
    _check_absent(folder, files)
    with all_or_nothing() as writer:
        _write(folder, files, repository, writer)
    _show(folder, len(files), found, [] if demo else open_points(inputs), repository)
    if edited := [name for name in repositories.edited(templates.root()) if name in files]:
        line = f"As in {templates.root()}, where they have been edited: {first_few(edited)}."
        report.console.print(Text(line), soft_wrap=True)


def _check_absent(folder: Path, files: dict[str, bytes]) -> None:
    names = [name for name in files if name not in (*LISTS, ".dvc/config")]
    present = [name for name in names if (folder / name).exists()]
    if (folder / NAME).exists():
        raise InputError(
            f"{folder}: a project that `dataselect init` made. To bring it up to this version: "
            f"dataselect init --update {folder}"
        )
    if present:
        raise InputError(
            f"{folder}: {first_few(present)}: there already, and not overwritten. Move what is "
            "yours away, or name another folder."
        )


def _write(folder: Path, files: dict[str, bytes], repository: Path | None, writer: Writer) -> None:
    writer.make_folder(folder)
    writer.claim(folder / ".git", folder / ".dvc")
    writer.remember(*(folder / name for name in (*LISTS, ".dvc/config", ".dvc/.gitignore")))
    is_new = not (folder / ".dvc" / "config").exists()
    files = files | {name: _with_lines(folder / name, files[name]) for name in LISTS}
    made_by_dvc = [name for name in (".dvc", ".dvcignore") if not (folder / name).exists()]
    if repository is None:
        repositories.init_git(folder)
    try:
        if is_new:
            in_subfolder = repository is not None and repository != folder
            repositories.init_dvc(folder, in_subfolder=in_subfolder)
        for name, content in files.items():
            if name == ".dvc/config" and not is_new:
                repositories.add_settings(folder / name, content)
            else:
                writer.write(folder / name, content)
        manifest = manifest_of({k: v for k, v in files.items() if not k.startswith("demo/")})
        writer.write(folder / NAME, manifest.as_bytes())
    except BaseException:
        if is_new and repository is not None:
            repositories.unstage(folder, made_by_dvc)
        raise


def _with_lines(path: Path, content: bytes) -> bytes:
    """A file with our lines at its end, as far as it lacks them."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lacking = [line for line in content.decode().splitlines() if line not in before.splitlines()]
    separator = "\n" if before and not before.endswith("\n") else ""
    return (before + separator + "".join(f"{line}\n" for line in lacking)).encode()


def _show(
    folder: Path,
    count: int,
    found: list[tuple[str, str]],
    points: list[str],
    repository: Path | None,
) -> None:
    place = "a new git repository" if repository is None else f"the git repository {repository}"
    line = f"New project in {folder}: {count} files, in {place}"
    report.console.print(Text(line), soft_wrap=True)
    if found:
        report.table("Rows", found)
    if points:
        lines = ["To write into params.yaml:", *(f"  {point}" for point in points)]
        report.console.print(Text("\n".join(lines)), soft_wrap=True)
    commands = [
        f"cd {shlex.quote(str(folder))}",
        "git add --all",
        "git commit -m 'A new project of dataselect'",
    ]
    commands += ["dataselect estimate    # the time, FLOPs and disk of the run", "dvc repro"]
    report.console.print(Text("\n".join(["Next:", *(f"  {line}" for line in commands)])),
                         soft_wrap=True)  # fmt: skip
