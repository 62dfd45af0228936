"""What all figures have in common: colours, shapes, letters and lines."""

from __future__ import annotations

from typing import Any

#: Colours that colour-blind people can tell apart, without the yellow, which is too pale on white.
#: Source: Okabe and Ito, "Color Universal Design", 2008. In this order neighbours differ most.
PALETTE = ("#0072B2", "#E69F00", "#56B4E9", "#D55E00", "#CC79A7", "#000000", "#009E73")

BLUE, _, SKY, VERMILION = PALETTE[:4]

#: Shapes of points, in the order of the series: one more than there are colours, so that 56 series
#: have a colour and shape of their own.
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
SHAPES += ("triangle-right", "triangle-left")

#: What stands behind: the pool, lines of reference.
GREY = "#8c8c8c"

#: Shares from none to all; dark and light also differ without any colour.
SHADES = "cividis"

#: The longest label of an axis or a legend, in pixels; longer ones end with an ellipsis.
LABEL = 240

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"

THEME: dict[str, Any] = {
    "background": "white",
    "font": FONT,
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": LABEL,
        "titleLimit": 600,
        "gridColor": "#e6e6e6",
        "domainColor": "#666666",
        "tickColor": "#666666",
    },
    "legend": {
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": LABEL,
        "titleLimit": 600,
        "symbolLimit": 0,
    },
    "header": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": LABEL,
    },
    "title": {"fontSize": 14, "fontWeight": "bold", "anchor": "start", "offset": 12},
    "view": {"stroke": "#cccccc"},
}

#: The title of a panel, on two lines where it has two.
PANEL_TITLE = "split(datum.label, '\\n')"


def series(
    names: list[str], order: list[str] | None = None, shift: list[int] | None = None
) -> tuple[list[str], list[str]]:
    """A colour and a shape for every series.

    Args:
        names: of the series.
        order: names whose places decide, so that several figures give a method the same colour;
            None: those of the series.
        shift: by how many places each series' shape is another than that of its name; None: 0.
    """
    places = [(order or names).index(name) for name in names]
    moved = [place + by for place, by in zip(places, shift or [0] * len(names), strict=True)]
    return (
        [PALETTE[place % len(PALETTE)] for place in places],
        [SHAPES[place % len(SHAPES)] for place in moved],
    )
