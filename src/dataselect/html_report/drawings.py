"""The figures of the runs as SVG, and why others are missing."""

from __future__ import annotations

from dataclasses import dataclass, field

from dataselect.compare.recorded import Run
from dataselect.errors import InputError


@dataclass(frozen=True)
class Drawings:
    """What is drawn.

    Attributes:
        figures: title, caption and SVG of each.
        missing: a sentence for every figure that is not drawn.
    """

    figures: list[tuple[str, str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def draw_figures(runs: list[Run], baseline: str | None) -> Drawings:
    """Draws the figures of the runs that can be compared.

    A report needs none of them: where the extra `figures` is not installed, or runs cannot be
    drawn together, that is said in place of the figures.
    """
    from dataselect.figures import draw

    drawings = Drawings()

    def left_out(name: str, reason: str) -> None:
        drawings.missing.append(f"{name}: {reason}.")

    try:
        found = draw(runs, baseline=baseline, left_out=left_out) if runs else {}
        for figure in found.values():
            svg = figure.svg(title=False)
            drawings.figures.append((figure.title, figure.caption, svg))
    except InputError as error:
        return Drawings(missing=[str(error)])
    return drawings
