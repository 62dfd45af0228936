"""The command `dataselect profile`: lists profiles, prints one as params.yaml, writes it."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from dataselect import report
from dataselect.data import files
from dataselect.errors import InputError
from dataselect.plan.pools import FOLDER as POOLS
from dataselect.plan.profile_cost import show_cost
from dataselect.plan.profile_names import FOLDER, patterns, read_settings
from dataselect.plan.profiles import Composed, compose
from dataselect.plan.tasks import FOLDER as TASKS
from dataselect.tasks import needed_by

if TYPE_CHECKING:
    from ruamel.yaml import YAML

WIDTH = 96


def list_profiles() -> None:
    """Prints every profile with what it is, and the values of the words in capitals."""
    for name, word, values, entry in patterns():
        report.console.print(Text(name, style="bold"))
        about = entry.get("about", "")
        lines = [about.replace(f"-{word}", "-…") if word else about]
        if word:
            lines.append(f"{word}: {', '.join(map(str, values))}")
        for line in lines:
            report.console.print(Text(textwrap.fill(line, 78, initial_indent="  ",
                                                    subsequent_indent="    ")))  # fmt: skip
    report.console.print(Text("\nOne as params.yaml, with its cost: dataselect profile NAME"))


def show_profile(name: str, changes: dict[str, Any], write: Path | None, force: bool) -> None:
    """Prints a profile as params.yaml, or writes it; then its cost and the published results.

    Args:
        changes: as of `compose`.
        write: the file to write; None: only print.
        force: whether a file that is there may be replaced.

    Raises:
        InputError: as of `compose`; or the file is there already.
    """
    composed = compose(name, changes)
    text = as_yaml(composed)
    if write is None:
        report.console.file.write(text + "\n")
    else:
        _write(write, text, force)
    show_cost(composed)
    _show_published(composed)
    _show_next(composed, write)


def as_yaml(composed: Composed) -> str:
    """The params.yaml of a profile, with a comment above each block that a part decided."""
    comments = _comments(composed)
    lines = [*_comment(f"{composed.profile.about}."), f"# Made by: {_command(composed)}"]
    for key, value in composed.params.items():
        lines += _comment(comments.get(key, ""))
        lines.append(_dumped({key: value}))
    return "\n".join(lines) + "\n"


def _comments(composed: Composed) -> dict[str, str]:
    """A comment for each block of params.yaml."""
    profile, pool = composed.profile, composed.pool
    rows = "Your own files"
    if Path(profile.pool).parent.parent == TASKS:
        rows = "Made with the tests"
    if pool:
        about = "About " if pool.rounded_to else ""
        rows = f"{about}{pool.rows:,} rows: {POOLS / profile.pool}.yaml"
        rows += ", whose name on the hub is unverified" if pool.unverified else ""
    comments = {
        "pool": f"{rows}.",
        "tests": "Tasks by name: `dataselect tasks`.",
        "model": _about_model(profile.model, composed),
        "train": composed.recipe["about"],
        "groups": "queries, or tasks: whose best rows are taken in turn.",
    }
    if profile.selector:
        about = _about_model(profile.selector, composed)
        comments["selector_model"] = f"Measures the rows. {about}"
    if needed := needed_by(composed.tasks):
        listed = "; ".join(f"{need} (for {', '.join(names)})" for need, names in needed.items())
        comments["tests"] += f" Needed: {listed}. See docs/tasks.md."
    return comments


def _command(composed: Composed) -> str:
    """The command that made a profile, with the user's options."""
    options = "".join(f" --{key} {value}" for key, value in composed.options.items())
    return f"dataselect profile {composed.name}{options}"


def _about_model(name: str, composed: Composed) -> str:
    known = composed.models.get(name)
    if known is None:
        return "Not in profiles/models.yaml. Set `revision` to a commit."
    about = f"{known['parameters']:,} parameters."
    if not Path(files.resolve(known["name"])).is_dir():
        about += " Set `revision` to a commit."
    return about + (" Gated: ask for access on the hub." if known.get("gated") else "")


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _dumped(block: dict[str, Any]) -> str:
    """A block as YAML 1.2: a line for each setting; lists and what lies deeper in one line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    def styled(value: Any, depth: int) -> Any:
        if not isinstance(value, dict | list):
            return value
        node: Any = CommentedMap() if isinstance(value, dict) else CommentedSeq()
        if isinstance(value, dict):
            node.update({key: styled(item, depth + 1) for key, item in value.items()})
        else:
            node.extend(styled(item, depth + 1) for item in value)
        if isinstance(value, list) or depth > 1:
            node.fa.set_flow_style()
        return node

    yaml = YAML()
    yaml.width = WIDTH
    plain_scalars(yaml)
    stream = io.StringIO()
    yaml.dump(styled(block, 0), stream)
    return stream.getvalue().rstrip("\n")


def plain_scalars(yaml: YAML) -> None:
    """Makes a writer of YAML write `null` in full, and numbers that YAML 1.1 reads as such."""
    yaml.representer.add_representer(type(None), lambda r, _: _scalar(r, "null", "null"))
    yaml.representer.add_representer(float, lambda r, value: _scalar(r, "float", _float(value)))


def _scalar(representer: Any, kind: str, text: str) -> Any:
    return representer.represent_scalar(f"tag:yaml.org,2002:{kind}", text)


def _float(value: float) -> str:
    """A number with a point, which YAML 1.1 needs to see a number in `2e-05`."""
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")


def _write(path: Path, text: str, force: bool) -> None:
    if path.exists() and not force:
        raise InputError(
            f"{path} is there already. Add --force to replace it. This project's params.yaml is "
            "in git: `git checkout HEAD -- params.yaml` brings back what you committed."
        )
    with files.atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    report.console.print(Text(f"Written: {path}"))
    report.console.print()


def _show_published(composed: Composed) -> None:
    """Prints the published row to compare with, beside that of random."""
    table = _published(composed)
    if table is None:
        report.console.print(Text("Published results to compare with: none.\n"))
        return
    source, columns, rows, row = table
    shown = [row, *(["random"] if row != "random" and "random" in rows else [])]
    lines = [
        (column, *(_cell(rows[name], columns, column) for name in shown)) for column in columns
    ]
    wanted = {*composed.profile.tasks, *(["mean"] if len(composed.profile.tasks) > 1 else [])}
    lines = [line for line in lines if line[0] in wanted and any(cell != "–" for cell in line[1:])]
    if not lines:
        report.console.print(Text("Published results to compare with: none of these tasks.\n"))
        return
    report.table("Published, in percent; not measured here", lines, ("", *shown))
    report.console.print(Text(f"{source}\n"))


def _published(composed: Composed) -> tuple[str, list[str], dict[str, Any], str] | None:
    """Source, columns and rows of the profile's table, and its row; None where none compares."""
    profile = composed.profile
    if profile.published is None or composed.options.keys() - {"method", "seed"}:
        return None
    table = read_settings(FOLDER / "published.yaml")[profile.published]
    row = profile.method if "method" in composed.options else profile.row or profile.method
    rows = table["rows"]
    return (table["source"], table["columns"], rows, row) if row in rows else None


def _cell(row: Any, columns: list[str], column: str) -> str:
    """A number of a row; a row that is a number alone is the mean."""
    if not isinstance(row, list):
        return str(row) if column == "mean" else "–"
    return str(row[columns.index(column)])


def _show_next(composed: Composed, written: Path | None) -> None:
    """Prints the commands that lead to the result."""
    commands = [f"dvc repro remote/tasks/dvc.yaml:task@{task}" for task in composed.tasks]
    if composed.pool:
        commands.insert(0, f"dvc repro {POOLS}/dvc.yaml:pool@{composed.profile.pool}")
    elif Path(composed.profile.pool).parent.parent != TASKS:  # else the task's command makes it
        commands.insert(0, f"# {composed.profile.pool}: bring it yourself, see docs/settings.md")
    if written is None:
        commands.append(f"{_command(composed)} --write params.yaml --force")
    elif written.resolve() != Path("params.yaml").resolve():
        commands.append(f"cp {written} params.yaml")
    commands.append("dvc repro")
    report.console.print(Text("Next:", style="bold"))
    for command in commands:
        report.console.print(Text(f"  {command}"), soft_wrap=True)
