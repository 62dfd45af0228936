"""The tables of docs/pools.md, from the results of the benchmarks; `readme.py` writes them."""

from __future__ import annotations

from typing import Any


def contamination(result: dict[str, Any]) -> str:
    """What the search for rows that overlap tests takes, and finds."""
    run = result["stage"]
    return (
        f"{result['rows'] / 1e6:.1f} M made-up rows of real lengths against {result['tests']:,} "
        f"tests: {run['seconds'] / 60:.1f} minutes on {result['machine']['cores']} cores, "
        f"{run['peak_mb'] / 1000:.1f} GB of memory; {run['copies_found']} of 200 planted copies of "
        f"tests were found, and {run['decoys_found']} of 200 rows with 40 % of a test. "
        "(`python benchmarks/contamination.py`)"
    )


def near_duplicates(result: dict[str, Any]) -> str:
    """Ours beside the other tools on the same rows, and by the pool's size."""
    lines = [
        "| tool | rows found | right | recall | seconds | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    names = {
        "ours": "this stage",
        "text-dedup": "text-dedup {version}",
        "semhash": "semhash {version}",
    }
    for name, label in names.items():
        if run := result.get(name):
            seconds = run.get("step_seconds", run["seconds"])
            shares = (run["precision"], run["recall"])
            found = ["–", "–", "–"] if "encoder" in run else [f"{run['rows_found']:,}"]
            found += [f"{share:.1%}" for share in shares] if len(found) == 1 else []
            figures = [*found, f"{seconds:,.0f}", f"{run['peak_mb']:,} MB"]
            lines.append(f"| {' | '.join([label.format(**run), *figures])} |")
    made = [
        f"{run['rows']:,} took {run['step_seconds']:.0f} s ({run['step_cpu_seconds']:.0f} s of "
        f"processor time, {run['peak_mb']:,} MB)"
        for run in result["by_rows"]
    ]
    far = result["extrapolated"]
    note = (
        f"{result['rows']:,} real rows, on {result['machine']['cores']} cores. "
        "“Right”: of a sample of the rows found, how many have a row of their group "
        f"that is at least {result['similarity']} similar by our words. “Recall”: of all such "
        "pairs of a sample of rows, how many are in a group. The seconds of this stage are those "
        "that the step adds; its memory is the stage's. semhash got random word vectors, as its "
        "model comes from a hub: what it finds with them says nothing. Of made-up rows, "
        f"{' and '.join(made)}; in proportion, {far['rows'] / 1e6:.1f} M rows would take "
        f"{far['step_cpu_seconds'] / 60:.0f} minutes of processor time (an extrapolation). "
        "(`python benchmarks/near_duplicates.py`)"
    )
    return "\n".join([*lines, "", note])


def questions(result: dict[str, Any]) -> str:
    """What `why` and `sql` take on the largest outputs, and on a tenth of them."""
    runs = [run for run in result["runs"] if run["case"] != "sql"]
    rows = sorted({run["rows"] for run in runs})
    lines = [
        "| rows × groups | row | seconds | of processors | peak memory |",
        "|---|---|---|---|---|",
    ]
    for size in rows:
        for case in ("chosen", "next", "far"):
            same = [run for run in runs if (run["rows"], run["case"]) == (size, case)]
            groups, cells = same[0]["groups"], []
            for name, unit in (("seconds", ""), ("cpu_seconds", ""), ("peak_mb", " MB")):
                values = sorted(run[name] for run in same)
                cells.append(f"{values[0]}–{values[-1]}{unit}")
            lines.append(f"| {size:,} × {groups} | {ROWS[case]} | {' | '.join(cells)} |")
    wrong = sum(not run["exact"] for run in runs)
    opens = [run["seconds"] for run in result["runs"] if run["case"] == "sql"]
    note = (
        "The whole command, its start included; `top` and `round_robin`. Of "
        f"{len(runs)} budgets {wrong} were wrong. `dataselect sql -c` took {min(opens)} to "
        f"{max(opens)} s. On {result['machine']['cores']} cores. "
        "(`python benchmarks/why.py`)"
    )
    return "\n".join([*lines, "", note])


#: A case of benchmarks/why.py → which row it is.
ROWS = {"chosen": "a chosen one", "next": "the next one", "far": "one for twice the budget"}


def reported(result: dict[str, Any]) -> str:
    """What the page of `dataselect report` takes, beside Bokeh's own glyphs and table."""
    plain, ready = result["plain_bokeh"], result["ready_seconds"]
    lines = [
        "| | this page | Bokeh's glyphs and table, no texts |",
        "|---|---|---|",
        f"| open, until all can be searched | {ready} s | {plain['ready_seconds']} s |",
        f"| filter | {result['filter_seconds']} s | {plain['filter_seconds']:.2f} s |",
        f"| search in all texts | {result['search_seconds']} s | – |",
        f"| sort by another column | {result['sort_seconds']} s | – |",
        f"| table after a move of the map | {result['zoom_seconds']} s | – |",
    ]
    note = (
        f"{result['rows']:,} rows, 300 characters of each, {result['file_mb']} MB; the rows were "
        f"there after {result['shown_seconds']} s. Headless Chromium without a GPU on "
        f"{result['machine']['cores']} cores. Writing the file took "
        f"{result['write_seconds']:.0f} s and {result['write_peak_mb']} MB of memory. "
        "(`python benchmarks/report.py`)"
    )
    return "\n".join([*lines, "", note])


def precision(result: dict[str, Any], embed: dict[str, Any]) -> str:
    """Which chosen rows stay the same in bfloat16; how much faster it measures."""
    same = [f"`{name}` {run['same_rows']:,}" for name, run in result["methods"].items()]
    parts = embed["bfloat16"]
    names = {"vectors": "embeddings", "whole_nll": "losses", "nll": "trajectories"}
    speeds = [f"{label} {parts[name]['times_float32']:.1f}" for name, label in names.items()]
    return (
        f"Of {result['budget']:,} rows chosen of {result['sample']['rows']:,} real ones, with a "
        f"model of 6.8 M parameters, the same in both types: {', '.join(same)}. "
        "(`python benchmarks/precision.py`) On a processor with AVX512_BF16, times the speed of "
        f"float32, in CPU seconds: {', '.join(speeds)}; the lowest cosine of two embeddings of a "
        f"row was {parts['vectors']['least_cosine']:.5f}. (`python benchmarks/embed.py`)"
    )
