"""A figure: a chart with a title and a caption, as SVG or PNG; vl-convert needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from dataselect.data.inert import inert_values
from dataselect.errors import InputError, install_extra
from dataselect.figures.theme import THEME


class MissingData(Exception):
    """A figure cannot be drawn of these runs; the text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Figure:
    """A chart that can be written.

    Attributes:
        name: what the command calls it, and its files.
        title: a line above it.
        caption: a sentence or two: what is drawn, and what must be known to read it.
        chart: an altair chart without title and theme.
    """

    name: str
    title: str
    caption: str
    chart: Any

    def spec(self, *, title: bool = True) -> dict[str, Any]:
        """The chart in Vega-Lite, with the theme and its data.

        Args:
            title: whether the picture has its title; not where it stands beside it.
        """
        found = inert_values(self.chart.to_dict())  # vl-convert aborts at control characters
        found["config"] = THEME
        if title:
            found["title"] = {"text": self.title}
        return found

    def svg(self, *, title: bool = True) -> str:
        """The picture as SVG: text stays text.

        Raises:
            InputError: the extra `figures` is not installed.
        """
        return _vl_convert().vegalite_to_svg(self.spec(title=title), vl_version=VEGA_LITE)

    def png(self, *, title: bool = True, scale: float = 2.0) -> bytes:
        """The picture as PNG.

        Args:
            scale: pixels of the picture for each of the chart's.

        Raises:
            InputError: the extra `figures` is not installed.
        """
        spec = self.spec(title=title)
        return _vl_convert().vegalite_to_png(spec, vl_version=VEGA_LITE, scale=scale)


#: The version of Vega-Lite that draws.
VEGA_LITE = "6.1"


def altair() -> ModuleType:
    """The library that builds charts.

    Raises:
        InputError: it is not installed.
    """
    try:
        import altair
    except ImportError:
        raise _not_installed("altair") from None
    return altair


def _vl_convert() -> ModuleType:
    try:
        import vl_convert
    except ImportError:
        raise _not_installed("vl-convert-python") from None
    return vl_convert


def _not_installed(package: str) -> InputError:
    return InputError(
        f"figures: `{package}` is not installed. Install it: {install_extra('figures')}"
    )
