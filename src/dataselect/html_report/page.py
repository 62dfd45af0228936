"""The page: one file that loads nothing, and in which only its own scripts run."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from math import ceil, log10
from typing import Any

import numpy as np

from dataselect import __version__
from dataselect.errors import inert
from dataselect.html_report.blocks import ROWS_PER_BLOCK, json_block
from dataselect.html_report.rows import Browser, extent
from dataselect.html_report.sections import text
from dataselect.html_report.texts import shorten

SCRIPTS = ("data.js", "colours.js", "map.js", "table.js", "detail.js", "main.js")
#: Characters of a query that the page has.
QUERY_LENGTH = 1_000


def page_start(title: str, sections: dict[str, tuple[str, str]], scripts: list[str]) -> str:
    """The page down to the browser's data.

    Args:
        sections: anchor → heading and HTML.
        scripts: the texts of all scripts that may run.
    """
    links = "".join(f'<a href="#{name}">{text(head)}</a>' for name, (head, _) in sections.items())
    parts = "".join(
        f'<section id="{name}"><h2>{text(head)}</h2>\n{content}</section>\n'
        for name, (head, content) in sections.items()
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{asset('page.css')}</style></head>\n"
        f"<body>\n<h1>{text(title)}</h1>\n"
        f'<p class="note">Made by dataselect {text(__version__)}. This file needs no network.</p>\n'
        f'<nav aria-label="Sections">{links}</nav>\n<main>\n{parts}</main>\n'
    )


def page_end(scripts: list[str]) -> str:
    """The scripts, after everything that they read."""
    return "".join(f"<script>{script}</script>\n" for script in scripts) + "</body></html>\n"


def own_scripts() -> str:
    """The page's own code."""
    return "".join(asset(name) for name in SCRIPTS)


def asset(name: str) -> str:
    """The text of a file beside the modules."""
    return resources.files("dataselect.html_report").joinpath("assets", name).read_text("utf-8")


def _policy(scripts: list[str]) -> str:
    """No address is loaded, and no script runs whose hash is not here: no text of a row can act."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    allowed = allowed or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
    )


def browser_section(browser: Browser) -> str:
    """The filters, the map and the table, still empty."""
    lacks = "".join(f'<p class="lack">{text(line)}</p>\n' for line in browser.lacks)
    if len(browser.kept) < browser.total:
        lacks += (
            f'<p class="lack">Of {browser.total:,} rows, {len(browser.kept):,} are in this file: '
            "all that were chosen, the near misses, and a random sample of the others. Ranks are "
            "those among all rows.</p>\n"
        )
    if browser.map is None:
        body = re.sub("<!-- map -->.*?<!-- end of map -->", "", asset("browser.html"), flags=re.S)
        return lacks + body.replace('class="browser"', 'class="browser mapless"')
    placed = int(np.isfinite(browser.map.rows[browser.kept]).all(axis=1).sum())
    absent = len(browser.kept) - placed
    about = f"The map shows the stored feature “{browser.map.feature}” of {placed:,} rows."
    about += f" {absent:,} rows have none and are only in the table." if absent else ""
    return lacks + asset("browser.html").replace("ABOUT THE MAP", text(about))


def browser_meta(browser: Browser) -> str:
    """Names and near misses, as JSON that the page reads."""
    place = {int(row): number for number, row in enumerate(browser.kept)}
    near = [
        [[place[miss.row], miss.score, miss.rank] for miss in misses]
        for misses in browser.places.near
    ]
    longest = max(1, int(browser.places.rank.max(initial=1)))
    meta: dict[str, Any] = {
        "rowsPerBlock": ROWS_PER_BLOCK,
        "chosen": int(np.count_nonzero(browser.number)),
        "sources": [inert(name) for name in browser.sources],
        "groups": [
            {"name": inert(group.name), "task": group.task and inert(group.task)}
            for group in browser.run.groups
        ],
        "queries": [
            {"task": inert(q.task), "id": inert(q.id), "text": inert(shorten(q.text, QUERY_LENGTH))}
            for q in browser.queries
        ],
        "near": near,
        "decades": [
            f"rank {10**n:,} – {10 ** (n + 1) - 1:,}" for n in range(ceil(log10(longest + 1)))
        ],
        "map": _map_meta(browser),
    }
    return json_block("meta", meta)


def _map_meta(browser: Browser) -> dict[str, Any] | None:
    if browser.map is None:
        return None
    low, high = extent(browser.map)
    queries = [] if browser.map.queries is None else browser.map.queries
    places = [[float(x), float(y)] if np.isfinite([x, y]).all() else None for x, y in queries]
    return {"low": low.tolist(), "high": high.tolist(), "queries": places}
