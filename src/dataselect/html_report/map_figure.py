"""The map's frame as a Bokeh figure: axes, tools and the queries. The page draws the rows."""

from __future__ import annotations

import json
import re
from importlib import import_module
from typing import Any

import numpy as np

from dataselect.errors import InputError, install_extra
from dataselect.html_report.projection import Map
from dataselect.html_report.rows import extent

HEIGHT = 480


def bokeh_script() -> str:
    """The library as text, to stand in the page.

    Raises:
        InputError: it is not installed.
    """
    try:
        from bokeh.resources import Resources
    except ImportError:
        raise InputError(
            "the map needs the library Bokeh, which is not installed. Install it: "
            f"{install_extra('report')}."
        ) from None
    return "\n".join(Resources(mode="inline", components=["bokeh"], minified=True).js_raw)


def map_figure(drawn: Map) -> dict[str, Any]:
    """The figure as JSON that `Bokeh.embed.embed_item` takes.

    The rows are an image that the page computes for what is in view: drawn as glyphs, hundreds of
    thousands would take seconds each time.
    """
    models: Any = import_module("bokeh.models")  # its types are not those of its signatures
    plotting: Any = import_module("bokeh.plotting")
    embed: Any = import_module("bokeh.embed")
    low, high = extent(drawn)
    plot = plotting.figure(
        name="map",
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_range=models.Range1d(float(low[0]), float(high[0])),
        y_range=models.Range1d(float(low[1]), float(high[1])),
        tools="pan,box_zoom,zoom_in,zoom_out,reset,tap",
        toolbar_location="above",
        x_axis_label=drawn.labels[0],
        y_axis_label=drawn.labels[1],
        output_backend="canvas",
    )
    wheel = models.WheelZoomTool(modifiers={"ctrl": True})  # else the page could not be scrolled
    plot.add_tools(wheel)
    plot.toolbar.active_scroll = wheel
    plot.toolbar.logo = None
    plot.grid.grid_line_alpha = 0.4
    pixel = np.zeros((1, 1), np.uint32)
    corner = {"x": [float(low[0])], "y": [float(low[1])]}
    size = {"dw": [float(high[0] - low[0])], "dh": [float(high[1] - low[1])]}
    image = models.ColumnDataSource({"image": [pixel], **corner, **size}, name="points")
    plot.image_rgba(image="image", x="x", y="y", dw="dw", dh="dh", source=image)
    queries = np.empty((0, 2)) if drawn.queries is None else drawn.queries.astype(np.float64)
    stars = models.ColumnDataSource({"x": queries[:, 0], "y": queries[:, 1]}, name="queries")
    style = {"fill_color": "#ffd400", "line_color": "#222222", "line_width": 0.8, "alpha": 0.9}
    plot.scatter("x", "y", marker="star", size=11, source=stars, **style)
    ring = models.ColumnDataSource({"x": [], "y": []}, name="ring")
    outline = {"fill_alpha": 0.0, "line_color": "#000000", "line_width": 2}
    plot.scatter("x", "y", marker="circle", size=16, source=ring, **outline)
    return _renumbered(embed.json_item(plot, "map"))


def _renumbered(item: dict[str, Any]) -> dict[str, Any]:
    """The same with ids that count from 1: Bokeh's depend on what was made before."""
    ids: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return ids.setdefault(found.group(), f'"p{len(ids) + 1}"')

    return json.loads(re.sub(r'"p\d+"', number, json.dumps(item)))
