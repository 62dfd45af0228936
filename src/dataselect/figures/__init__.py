"""The papers' figures of one's own runs: `draw` returns them by name, each with `.svg()`."""

from dataselect.figures.drawing import draw
from dataselect.figures.figure import Figure

__all__ = ["Figure", "draw"]
