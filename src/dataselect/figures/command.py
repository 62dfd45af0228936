"""The command `dataselect figures`."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from dataselect import report
from dataselect.compare.find_runs import all_runs, named_runs
from dataselect.data import files
from dataselect.errors import InputError
from dataselect.figures.drawing import draw
from dataselect.figures.figure import Figure

CAPTIONS = "captions.md"


def figures_command(
    names: list[str],
    out: Path,
    only: list[str],
    *,
    baseline: str | None,
    shared: bool,
    model: str | None,
    label: str,
) -> None:
    """Draws the figures of the named runs, or of HEAD's and the workspace, into a folder.

    Args:
        names: see `find_runs.named_runs`; none: all.
        out: the folder: an SVG and a PNG for each figure, and captions.md.
        only: names of figures; none: all.
        baseline, shared, model, label: see `drawing.draw`.

    Raises:
        InputError: the runs cannot be found, or no figure can be drawn of them.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out: {out} is a file. Name a folder.")
    runs = named_runs(names) if names else all_runs()
    reasons: dict[str, str] = {}
    options = {"baseline": baseline, "model": model}
    with report.spinner("figures"):
        found = draw(
            runs, only, shared=shared, label=label, left_out=reasons.__setitem__, **options
        )
        if not found:
            raise InputError(f"no figure can be drawn. {_sentences(reasons)}")
        pictures = {name: (figure.svg(), figure.png()) for name, figure in found.items()}
    for name, (svg, png) in pictures.items():
        _write(out / f"{name}.svg", svg.encode())
        _write(out / f"{name}.png", png)
    _write(out / CAPTIONS, captions(found, reasons).encode())
    report.table("Figures", [(f.title, str(out / f"{name}.svg")) for name, f in found.items()])
    for name, reason in reasons.items():
        report.console.print(Text(f"{name} is left out: {reason}."))


def captions(found: dict[str, Figure], reasons: dict[str, str]) -> str:
    """The figures with their captions as a page of Markdown, and why others are left out."""
    parts = ["# Figures"]
    for name, figure in found.items():
        parts.append(f"## {figure.title}\n\n![{figure.title}]({name}.svg)\n\n{figure.caption}")
    if reasons:
        lines = [f"- `{name}`: {reason}" for name, reason in reasons.items()]
        parts.append("## Left out\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _sentences(reasons: dict[str, str]) -> str:
    same: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        same.setdefault(reason, []).append(name)
    return " ".join(f"{', '.join(names)}: {reason}." for reason, names in same.items())


def _write(path: Path, content: bytes) -> None:
    with files.atomic_write(path) as temporary:
        temporary.write_bytes(content)
