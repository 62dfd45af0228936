"""The parts of the page above the browser, as HTML: comparison, figures, parameters, versions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from dataselect.compare import pages
from dataselect.compare.comparison import Comparison
from dataselect.compare.recorded import Run, flat
from dataselect.compare.scores import MEAN
from dataselect.errors import inert, without_secrets
from dataselect.html_report.drawings import Drawings

#: What a plan knows of inputs, by name: where it stands in the plan's settings.
INPUTS = {"pool": "dedup.pool", "queries": "dedup.queries", "tests": "dedup.tests"}
MODELS = {"model that is trained": "train.model", "model that measures rows": "embed.model"}


def text(value: Any) -> str:
    """A value as HTML: no sign in it means anything to a browser, and no secret stands in it."""
    return escape(inert(without_secrets(str(value))))


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], kind: str = "") -> str:
    """A table that scrolls by itself where it is wider than the page."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{text(value)}</td>" for value in row) + "</tr>\n" for row in rows
    )
    return (
        f'<div class="wide {kind}" tabindex="0"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def comparison_section(found: Comparison | str) -> str:
    """The tables and sentences of `dataselect compare`; or the reason why there are none."""
    if isinstance(found, str):
        return f'<p class="lack">Nothing is compared: {text(found)}</p>\n'
    means, tasks = [], []
    for title, header, rows, about in pages.tables(found):
        block = f"<h3>{text(title)}</h3>\n{table(header, rows, 'scores')}"
        (means if title.endswith(MEAN) else tasks).append(block)
        means += [f'<p class="note">{text(about)}</p>\n'] if about else []
    parts = [*means]
    for title, sentences in pages.sentence_lists(found):
        of_tasks = [line for line in sentences if line.startswith("task ")]
        for lines, place in (
            ([s for s in sentences if s not in of_tasks], parts),
            (of_tasks, tasks),
        ):
            items = "".join(f"<li>{text(line)}</li>\n" for line in lines)
            place += [f"<h3>{text(title)}</h3>\n<ul>\n{items}</ul>\n"] if lines else []
    if tasks:
        parts.append(f"<details><summary>Every task</summary>\n{''.join(tasks)}</details>\n")
    return "".join(parts)


def figures_section(drawings: Drawings) -> str:
    """The figures as images: what an SVG holds cannot run, and its ids meet no others."""
    parts = []
    for title, caption, svg in drawings.figures:
        content = base64.b64encode(svg.encode()).decode()
        parts.append(
            f'<figure><h3>{text(title)}</h3>\n<img alt="{text(f"{title}. {caption}")}" '
            f'src="data:image/svg+xml;base64,{content}">\n'
            f"<figcaption>{text(caption)}</figcaption></figure>\n"
        )
    shown = f'<div class="figures">\n{"".join(parts)}</div>\n' if parts else ""
    if not drawings.missing:
        return shown
    lines = "".join(f"<li>{text(line)}</li>\n" for line in drawings.missing)
    return f"{shown}<details><summary>Not drawn</summary>\n<ul>\n{lines}</ul></details>\n"


def parameters_section(runs: list[Run], plan: dict[str, Any]) -> str:
    """The settings in which the runs differ, and all settings of the run whose rows are shown."""
    differing = _differing(runs)
    parts = []
    if differing:
        header = ["setting", *(run.name for run in runs)]
        parts.append("<h3>Where the runs differ</h3>\n" + table(header, differing, "settings"))
    elif len(runs) > 1:
        parts.append("<p>The runs that are compared have the same settings.</p>\n")
    settings = _shown(flat(plan)) if plan else {}
    if settings:
        rows = [(name, _value(value)) for name, value in settings.items()]
        count = f"All {len(rows)} settings of the run whose rows are shown below"
        parts.append(f"<details><summary>{count}</summary>\n{table(('setting', 'value'), rows)}")
        parts.append("</details>\n")
    return "".join(parts) or "<p>No plan.json of these runs is known.</p>\n"


def _shown(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without the hashes of the code."""
    return {name: value for name, value in settings.items() if not name.endswith(".code")}


def _differing(runs: list[Run]) -> list[list[str]]:
    known = [_shown(run.settings) for run in runs if run.settings]
    if len(known) < 2 or len(known) < len(runs):
        return []
    known = [_without_sums(settings) for settings in known]
    labels = [{"method": run.method, "budget": run.budget, "seed": run.seed} for run in runs]
    names = dict.fromkeys(name for settings in known for name in settings)
    kept = [name for name in names if not _is_repeated(name, known, labels)]
    lines = [(name, [label[name] for label in labels]) for name in labels[0]]
    lines += [(name, [settings.get(name) for settings in known]) for name in kept]
    shown = [[name, *map(_value, values)] for name, values in lines]
    return [line for line in shown if len(set(line[1:])) > 1]


def _without_sums(value: Any) -> Any:
    """Settings without md5 sums, which stand below with the data and models."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key.rpartition(".")[2] != "md5"}
        return {key: _without_sums(item) for key, item in kept.items()}
    return [_without_sums(item) for item in value] if isinstance(value, list) else value


def _is_repeated(name: str, known: list[dict[str, Any]], labels: list[dict[str, Any]]) -> bool:
    """Whether a setting says the budget or the seed of all runs once more."""
    key = name.rpartition(".")[2]
    values = [settings.get(name) for settings in known]
    return name.startswith("eval.run.") or (
        key in ("budget", "seed") and values == [label[key] for label in labels]
    )


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def versions_section(runs: list[Run], plan: dict[str, Any]) -> str:
    """The data and models that the runs are made of, with their hashes."""
    plans: dict[str, dict[str, Any]] = {run.name: run.settings for run in runs if run.settings}
    if not plans and plan:
        plans = {"the run whose rows are shown": flat(plan)}
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, settings in plans.items():
        for line in [*_inputs(settings), *_models(settings)]:
            found.setdefault(line, []).append(name)
    if not found:
        return "<p>No versions are recorded.</p>\n"
    rows = [
        (*line, "all" if len(names) == len(plans) else ", ".join(names))
        for line, names in found.items()
    ]
    return table(("what", "path or name", "version", "runs"), rows)


def _inputs(settings: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (name, str(file.get("path", "")), _version(file))
        for name, place in INPUTS.items()
        for file in settings.get(place) or []
        if isinstance(file, dict)
    ]


def _models(settings: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    for name, place in MODELS.items():
        keys = ("name", "revision", "md5")
        model = {key: settings.get(f"{place}.{key}") for key in keys}
        if model["name"]:
            found.append((name, str(model["name"]), _version(model)))
    return found


def _version(item: dict[str, Any]) -> str:
    stated = [f"{key} {item[key]}" for key in ("revision", "md5") if item.get(key)]
    return ", ".join(stated) or "–"
