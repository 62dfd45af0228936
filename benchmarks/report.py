"""Measures `dataselect report` on a large made-up run: the file, and the page in Chromium.

    python benchmarks/report.py

300,000 rows with texts of words whose frequencies are Zipf's, each longer than what the page shows;
1,024 features a row; 7 tasks with 20 queries each. Chromium has no window, no network, and no GPU.
Seconds of the page are from the event to the frame that shows its result, the median of five.
`plain_bokeh` is the same points and columns as Bokeh's own glyphs and DataTable.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from chromium import Chromium
from measuring import peak_mb, save_result, temporary_folder
from safetensors.numpy import save_file

from dataselect.data import tables
from dataselect.html_report.command import Options, report_command

ROWS, CHOSEN, WIDTH, TASKS, QUERIES = 300_000, 15_000, 1_024, 7, 20
BLOCK = 2_048
TIMES = 5

#: What is done in the page, by name: it must change the line that says how many rows there are.
ACTIONS = {
    "filter_seconds": "change('source', STEP % 5, 'change')",
    "chosen_seconds": "change('chosen', ['yes', 'no'][STEP % 2], 'change')",
    "search_seconds": "change('search', WORDS[STEP], 'input')",
}
WORDS = ["ba", "Che", "di fo", "gux", "nothing has this text"]


def main() -> None:
    """Makes the run and the page and measures both; `--small`: a few rows, nothing is saved."""
    small = "--small" in sys.argv
    rows = 5_000 if small else ROWS
    with temporary_folder() as home, contextlib.chdir(home):
        make_run(rows, rows * CHOSEN // ROWS)
        start = time.perf_counter()
        report_command(["out"], Path("report.html"), Options())
        result = {
            "rows": rows,
            "write_seconds": round(time.perf_counter() - start, 1),
            "write_peak_mb": peak_mb(),
            "file_mb": round(Path("report.html").stat().st_size / 1e6, 1),
            **measure(home),
            "plain_bokeh": plain_bokeh(home),
        }
    print(json.dumps(result, indent=1))  # noqa: T201
    if not small:
        save_result("report", result)


def make_run(rows: int, chosen: int) -> None:
    """Writes the outputs of a run of `rds` to the working directory."""
    rng = np.random.default_rng(0)
    words = vocabulary(rng)
    Path("out/features/pool").mkdir(parents=True)
    Path("out/features/queries").mkdir()
    names = [f"task {number}" for number in range(TASKS)]
    centres = rng.standard_normal((12, WIDTH), dtype=np.float32)
    _write_queries(rng, words, names, centres)
    scores = np.empty((rows, TASKS), np.float32)
    with tables.open_writer("pool", "out/pool.parquet") as put:
        for number, first in enumerate(range(0, rows, BLOCK)):
            count = min(BLOCK, rows - first)
            kind = rng.integers(0, 12, count)
            vectors = centres[kind] + 2 * rng.standard_normal((count, WIDTH), dtype=np.float32)
            save_file(
                {"vectors": vectors.astype(np.float16)},
                f"out/features/pool/{number:05}.safetensors",
            )
            scores[first : first + count] = vectors[:, :TASKS]
            put(_pool_rows(rng, words, first, kind))
    _write_choice(scores, names, chosen)
    plan = {"score": {"scorer": {"name": "cosine", "settings": {"groups": "tasks"}}}}
    Path("plan.json").write_text(json.dumps(plan))
    evaluation = [
        (task, str(n), "exact_match", float(n % 2), 1.0, "x", False, None)
        for task in names
        for n in range(30)
    ]
    schema = tables.schema("evaluation")
    evaluation = [(*row, *[None] * (len(schema) - len(row))) for row in evaluation]
    tables.write(
        "evaluation",
        pl.DataFrame(evaluation, schema=schema, orient="row"),
        "out/evaluation.parquet",
    )


def vocabulary(rng: np.random.Generator) -> np.ndarray:
    """20,000 words of two to nine letters."""
    syllables = [a + b for a in "bcdfghlmnprstvz" for b in ("a", "e", "i", "o", "u", "ux", "he")]
    lengths = rng.integers(1, 5, 20_000)
    return np.asarray(["".join(rng.choice(syllables, n)) for n in lengths], dtype=object)


def _texts(rng: np.random.Generator, words: np.ndarray, count: int, length: int) -> list[str]:
    """Texts of words, the frequent ones most often: the r-th has a share like 1 / r."""
    ranks = np.minimum(len(words) - 1, np.exp(rng.random((count, length)) * np.log(len(words))))
    return [" ".join(line) for line in words[ranks.astype(int)]]


def _turns(prompts: list[str], responses: list[str]) -> list[list[dict[str, str]]]:
    pairs = zip(prompts, responses, strict=True)
    roles = ("user", "assistant")
    return [
        [{"role": role, "content": text} for role, text in zip(roles, pair, strict=True)]
        for pair in pairs
    ]


def _pool_rows(
    rng: np.random.Generator, words: np.ndarray, first: int, kind: np.ndarray
) -> pl.DataFrame:
    count = len(kind)
    messages = _turns(_texts(rng, words, count, 40), _texts(rng, words, count, 60))
    return pl.DataFrame(
        {
            "row": pl.int_range(first, first + count, eager=True),
            "id": [f"source-{k}-{first + place:06}" for place, k in enumerate(kind.tolist())],
            "source": [f"source {k}" for k in kind.tolist()],
            "messages": messages,
        },
        schema=tables.schema("pool"),
    )


def _write_queries(
    rng: np.random.Generator, words: np.ndarray, names: list[str], centres: np.ndarray
) -> None:
    count = len(names) * QUERIES
    texts = _texts(rng, words, count, 30)
    schema = tables.schema("queries")
    frame = pl.DataFrame(
        {
            "task": [names[number // QUERIES] for number in range(count)],
            "id": [f"query {number}" for number in range(count)],
            "messages": _turns(texts, texts),
            **{name: [None] * count for name in schema if name not in ("task", "id", "messages")},
        },
        schema=schema,
    )
    tables.write("queries", frame, "out/queries.parquet")
    noise = rng.standard_normal((count, WIDTH), dtype=np.float32)
    vectors = centres[np.arange(count) // QUERIES] + noise
    save_file({"vectors": vectors}, "out/features/queries/00000.safetensors")


def _write_choice(scores: np.ndarray, names: list[str], chosen: int) -> None:
    """The score table, its groups, and a selection that takes from each group in turn."""
    rows = len(scores)
    groups = [(number, name, name, None) for number, name in enumerate(names)]
    schema = tables.schema("groups")
    tables.write("groups", pl.DataFrame(groups, schema=schema, orient="row"), "out/groups.parquet")
    with tables.open_writer("scores", "out/scores.parquet") as put:
        for first in range(0, rows, BLOCK):
            block = scores[first : first + BLOCK]
            put(
                pl.DataFrame(
                    {
                        "row": pl.int_range(first, first + len(block), eager=True),
                        "id": [f"{row:06}" for row in range(first, first + len(block))],
                        "group": pl.Series([None] * len(block), dtype=pl.Int64),
                        "score": pl.Series(block, dtype=pl.Array(pl.Float32, len(names))),
                    }
                )
            )
    taken: dict[int, int] = {}
    for turn in np.argsort(-scores, axis=0, kind="stable"):
        for group, row in enumerate(turn.tolist()):
            if len(taken) < chosen:
                taken.setdefault(row, group)
    lines = [
        (rank, row, f"{row:06}", "source", group, names[group], float(scores[row, group]))
        for rank, (row, group) in enumerate(taken.items())
    ]
    schema = tables.schema("selection")
    table = pl.DataFrame(lines, schema=schema, orient="row")
    tables.write("selection", table, "out/selection.parquet")


def measure(home: Path) -> dict[str, Any]:
    """Seconds until the page shows rows, until it can be searched, and of what is done in it."""
    (home / "profile").mkdir()
    browser = Chromium(home / "profile")
    try:
        start = time.perf_counter()
        browser.open(home / "report.html")
        browser.until("document.body?.dataset.state")
        load = round(os.getloadavg()[0], 1)
        result = {"load": load, "shown_seconds": round(time.perf_counter() - start, 2)}
        browser.until("document.body.dataset.state === 'ready'")
        result["ready_seconds"] = round(time.perf_counter() - start, 2)
        for name, action in ACTIONS.items():
            seconds = [_until_drawn(browser, action, step) for step in range(TIMES)]
            result[name] = round(statistics.median(seconds), 3)
            browser.js("byId('clear').click()")
        sort = "document.querySelector('[data-sort=rank]').click()"
        result["sort_seconds"] = round(_until_drawn(browser, sort, 0), 3)
        browser.js("byId('rows').scrollIntoView()")
        result["zoom_seconds"] = _zoom(browser)
        heap = browser.js("performance.memory.usedJSHeapSize")
        result["heap_mb"] = round(heap / 1e6)
        assert not browser.requests()
        assert not browser.errors()
        browser.screenshot(Path(os.environ.get("SCREENSHOT", home / "page.png")))
    finally:
        browser.close()
    return result


#: An action, and then the frame after the line that counts the rows was written.
WAIT = """new Promise((done) => {
  const STEP = %d, WORDS = %s, start = performance.now();
  const change = (id, value, event) => {
    byId(id).value = value;
    byId(id).dispatchEvent(new Event(event));
  };
  new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => done((performance.now() - start) / 1000)));
  }).observe(byId('status'), {childList: true, characterData: true, subtree: true});
  %s;
})"""


def _until_drawn(browser: Chromium, action: str, step: int) -> float:
    return browser.js(WAIT % (step, json.dumps(WORDS), action))


def _zoom(browser: Chromium) -> float:
    """Seconds from a smaller range of the map to the list of the rows in it, the delay included."""
    shrink = "const r = Bokeh.documents[0].get_model_by_name('map').x_range; "
    shrink += "r.end = r.start + (r.end - r.start) * 0.9"
    return round(statistics.median(_until_drawn(browser, shrink, n) for n in range(TIMES)), 3)


def plain_bokeh(home: Path) -> dict[str, Any]:
    """The same points as Bokeh's glyphs and table: seconds to load, and to filter by a source."""
    from bokeh.embed import file_html
    from bokeh.layouts import row
    from bokeh.models import CDSView, ColumnDataSource, DataTable, GroupFilter, TableColumn
    from bokeh.plotting import figure
    from bokeh.resources import Resources

    table = pl.read_parquet(home / "report.parquet")
    names = ["row", "source", "x", "y", "score"]
    source = ColumnDataSource({name: table[name].to_numpy() for name in names})
    view = CDSView(name="view")
    plot = figure(width=650, height=480, output_backend="canvas")
    plot.scatter("x", "y", size=2, source=source, view=view)
    cells = [TableColumn(field=name) for name in names]
    both = row(plot, DataTable(source=source, view=view, columns=cells, width=650))
    group = GroupFilter(column_name="source", group="source 1", name="group")
    view.tags = [group]
    path = home / "plain.html"
    path.write_text(file_html(both, Resources("inline"), "plain"))
    (home / "plain profile").mkdir()
    browser = Chromium(home / "plain profile")
    try:
        start = time.perf_counter()
        browser.open(path)
        browser.until("window.Bokeh && Bokeh.documents[0]?.is_idle", 180)
        result = {"ready_seconds": round(time.perf_counter() - start, 2)}
        seconds = browser.js("""new Promise((done) => {
          const start = performance.now();
          const view = Bokeh.documents[0].get_model_by_name('view');
          view.filter = view.tags[0];
          requestAnimationFrame(() => setTimeout(() => done((performance.now() - start) / 1000)));
        })""")
        result["filter_seconds"] = round(seconds, 2)
    finally:
        browser.close()
    return result


if __name__ == "__main__":
    main()
