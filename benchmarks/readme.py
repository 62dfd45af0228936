"""Writes the documents' tables from committed results, and SQL examples from the demo's run.

python benchmarks/readme.py      # after `make repro`; `--check` says whether they are up to date
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from comparison_tables import alarms, rates
from gpu_tables import packed_rows
from pool_tables import contamination, near_duplicates, precision, questions, reported
from training_tables import memory, overhead, training, training_gpu

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
#: Commands whose output on the demo's run stands in docs/asking.md, by the name of its block.
EXAMPLES = {
    "sql": ("sql sql/share_per_source.sql", "sql sql/chosen_by.sql group=velish most=3"),
    "why": ("why almanac-0045 --top 3",),
}


def main() -> None:
    """Replaces the text between the documents' markers."""
    pages = list(dict.fromkeys(page for page, _ in tables().values()))
    before = {page: (ROOT / page).read_text(encoding="utf-8") for page in pages}
    after = dict(before)
    for name, (page, content) in tables().items():
        after[page] = _replace(after[page], name, content)
    if "--check" in sys.argv:
        wrong = [page for page in pages if after[page] != before[page]]
        sys.exit(f"{', '.join(wrong)}: tables differ from the results" if wrong else 0)
    for page, text in after.items():
        (ROOT / page).write_text(text, encoding="utf-8")
    if (ROOT / "out" / "selection.parquet").exists():
        path = ROOT / "docs/asking.md"
        text = path.read_text(encoding="utf-8")
        for name, commands in EXAMPLES.items():
            text = _replace(text, name, "\n\n".join(example(command) for command in commands))
        path.write_text(text, encoding="utf-8")


def tables() -> dict[str, tuple[str, str]]:
    """Every table that is made from committed results: its name → its document, its text."""
    return {
        "demo": ("README.md", demo(_result("demo"), _result("demo_range"))),
        "coverage": ("docs/methods.md", coverage(_result("coverage"))),
        "estimate": ("docs/large-pools.md", estimate(_result("estimate"))),
        "scale": ("docs/large-pools.md", scale()),
        "precision": ("docs/large-pools.md", precision(_result("precision"), _result("embed"))),
        "packed": ("docs/large-pools.md", packed_rows(_result("embed_gpu"))),
        "memory": ("docs/large-models.md", memory(_result("memory"))),
        "training": ("docs/large-models.md", training(_result("training"))),
        "overhead": ("docs/large-models.md", overhead(_result("training_overhead"))),
        "training_gpu": ("docs/large-models.md", training_gpu(_result("training_gpu"))),
        "contamination": ("docs/pools.md", contamination(_result("contamination"))),
        "alarms": ("docs/compare.md", alarms(_result("comparisons"))),
        "rates": ("benchmarks/README.md", rates(_result("comparisons"))),
        "asked": ("docs/asking.md", questions(_result("why"))),
        "reported": ("docs/report.md", reported(_result("report"))),
        "near_duplicates": ("docs/pools.md", near_duplicates(_result("near_duplicates"))),
    }


def _result(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


def _replace(text: str, name: str, content: str) -> str:
    """The text with other content between `<!-- name: … -->` and `<!-- end -->`."""
    pattern = rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)"
    return re.sub(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text, count=1, flags=re.S)


def demo(result: dict[str, Any], ranges: dict[str, Any]) -> str:
    """The demo's table: exact match and loss by method, over the seeds; and their last bits."""
    runs = result["runs"]
    before = runs[0]["before"]["mean"]
    lines = [
        "| 300 rows chosen by | score, mean of 6 tasks | loss, nats/token | seeds |",
        "|---|---|---|---|",
        f"| (before training) | {before['score']:.3f} | {before['answer_nll_nats']:.3f} | – |",
    ]
    for method in dict.fromkeys(run["method"] for run in runs):
        means = [run["scores"]["mean"] for run in runs if run["method"] == method]
        score, loss = [m["score"] for m in means], [m["answer_nll_nats"] for m in means]
        lines.append(f"| `{method}` | {_spread(score)} | {_spread(loss)} | {len(means)} |")
    slowest = max(_seconds_before_evaluation(run["cost"]["seconds"]) for run in runs)
    note = (
        "Scores are exact match; one task is multiple choice; ± is the standard deviation over the "
        f"seeds. One run took at most {slowest:.0f} s before evaluation, on 2 CPU cores. "
        "(`python benchmarks/methods.py benchmarks/methods/demo.yaml`)"
    )
    return "\n".join([*lines, "", note, "", _last_bits(ranges)])


def _last_bits(ranges: dict[str, Any]) -> str:
    """How far the scores of one run move with the number of threads and the precision."""
    runs = ranges["runs"]
    means = [run["mean"] for run in runs]
    tasks = {name: [run["tasks"][name] for run in runs] for name in runs[0]["tasks"]}
    largest = max(max(scores) - min(scores) for scores in tasks.values())
    return (
        f"Your scores will differ a little: another processor, precision or number of threads "
        f"gives other last bits. The run of `{ranges['method']}` with seed {ranges['seed']}, with "
        f"1 and 2 threads, in fp32 and in bf16, scored {min(means):.3f} to {max(means):.3f}; "
        f"single tasks varied by up to {largest:.3f}. (`python benchmarks/demo_range.py`)"
    )


def _seconds_before_evaluation(seconds: dict[str, float | None]) -> float:
    return sum(value or 0 for name, value in seconds.items() if name not in ("baseline", "eval"))


def coverage(result: dict[str, Any]) -> str:
    """Facility location: seconds and memory by the pool's size, and what other ways take."""
    lines = ["| rows | chosen | seconds | CPU seconds | peak memory | lazy greedy | plain greedy |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for run in result["runs"]:
        figures = [f"{run['rows']:,}", f"{run['chosen']:,}", f"{run['seconds']:,.1f}"]
        figures += [f"{run['cpu_seconds']:,.1f}", f"{run['scorer_peak_mb']} MB"]
        for name in ("lazy", "plain"):
            times = run.get(f"cpu_{name}_over_this")
            figures.append(f"{times:.1f} × the CPU seconds; {_same(run, name)}" if times else "–")
        lines.append(f"| {' | '.join(figures)} |")
    note = (
        f"On {result['machine']['cores']} cores, lazy and plain greedy on one. Of rows that add "
        "the same but for rounding, other ways may choose another one first. The memory includes "
        f"vectors of {result['dimensions']} numbers. (`python benchmarks/coverage.py`)"
    )
    return "\n".join([*lines, "", note])


def _same(run: dict[str, Any], way: str) -> str:
    """Whether another way of facility location chose the same rows."""
    if run[f"{way}_same_order"]:
        return "the same rows and order"
    same = run[f"{way}_same_rows"]
    return "the same rows" if same == run["chosen"] else f"{same:,} of the same rows"


def scale() -> str:
    """What the benchmarks of large pools measured, a line per case."""
    results = {name: _result(name) for name in ("embed", "score", "aggregate", "dedup")}
    lines = ["| what | how much | took | peak memory | against |", "|---|---|---|---|---|"]
    lines += [_line(*case) for case in (*_features(results["embed"]), _score(results["score"]))]
    lines += [_line(*case) for case in _aggregate(results["aggregate"])]
    lines.append(_line(*_dedup(results["dedup"])))
    machine = results["score"]["machine"]
    idle = _result("idle")["repro_seconds"]
    note = (
        f"A `dvc repro` with nothing to do takes {idle:.1f} s. On {machine['cores']} cores without "
        "bf16, made-up data but for the features, which are of real rows with a model of 6.8 M "
        "parameters. In the comparison with the published algorithm, memory is that algorithm's. "
        "(`python benchmarks/embed.py`; `score.py`, `aggregate.py`, `dedup.py`, `idle.py` there)"
    )
    return "\n".join([*lines, "", note])


def estimate(result: dict[str, Any]) -> str:
    """How far the estimate is from the run, all stages of a method together."""
    methods = list(dict.fromkeys(run["method"] for run in result["runs"]))
    ranges = []
    for unit in ("seconds", "flops", "bytes"):
        times = []
        for method in methods:
            runs = [run for run in result["runs"] if run["method"] == method]
            times.append(sum(r["estimate"][unit] for r in runs) / sum(r["run"][unit] for r in runs))
        ranges.append(
            f"{min(times):.2f} to {max(times):.2f} times the {unit.replace('flops', 'FLOPs')}"
        )
    names = " and ".join(f"`{method}`" for method in methods)
    return (
        f"On the demo with {names}, the estimate of a whole run was {', '.join(ranges)} that the "
        "run took. (`python benchmarks/estimate.py`)"
    )


def _line(what: str, amount: str, seconds: float, peak_mb: int, against: str) -> str:
    took = f"{seconds:,.1f}" if seconds >= 1 else f"{seconds:.2f}"
    return f"| {what} | {amount} | {took} s | {peak_mb:,} MB | {against} |"


def _features(result: dict[str, Any]) -> list[tuple[str, str, float, int, str]]:
    names = {
        "vectors": "embeddings",
        "loss": "losses",
        "trajectory": "loss trajectories",
        "gradient": "LoRA gradients",
    }
    lines = []
    for key, name in names.items():
        run = result[key]
        amount = f"{run['rows']:,} rows, {run['tokens']:,} tokens"
        against = f"{run['times_batch_1']:.1f} × as fast as row by row"
        lines.append((name, amount, run["seconds"], run["peak_mb"], against))
    run = result["large"]
    size = f"{run['parameters'] / 1e6:.0f} M parameters"
    amount = f"{run['rows']:,} rows, {run['tokens']:,} tokens, {size}"
    against = f"{run['share_of_the_product']:.0%} of the FLOP/s of a matrix product"
    return [*lines, ("embeddings", amount, run["seconds"], run["peak_mb"], against)]


def _score(run: dict[str, Any]) -> tuple[str, str, float, int, str]:
    amount = f"{run['rows']:,} × {run['dimensions']:,}, {run['queries']} queries"
    against = f"{run['share_of_the_slower']:.0%} of the speed of the matrix product alone"
    return ("score", amount, run["seconds"], run["peak_mb"], against)


def _aggregate(result: dict[str, Any]) -> list[tuple[str, str, float, int, str]]:
    lines = []
    for run in result["runs"]:
        if run["by"] == "round_robin":
            amount = f"{run['chosen']:,} of {run['rows']:,}, {run['groups']} groups"
            lines.append(("aggregate", amount, run["seconds"], run["peak_mb"], "–"))
    run = result["against"]
    amount = f"{run['chosen']:,} of {run['rows']:,}, {run['groups']} groups"
    against = f"{run['ratio']} × as fast as the published algorithm, the same rows"
    return [*lines, ("aggregate", amount, run["seconds"], run["peak_mb"], against)]


def _dedup(result: dict[str, Any]) -> tuple[str, str, float, int, str]:
    run = result["stage"]
    amount = f"{result['rows']:,} rows, {result['file_mb']:,} MB"
    against = f"{result['stage_over_duckdb']} × the time of plain DuckDB, the same rows"
    return ("dedup", amount, run["seconds"], run["peak_mb"], against)


def _spread(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def example(command: str) -> str:
    """A command of `dataselect` and what it prints of the run in `out/`."""
    program = [sys.executable, "-m", "dataselect.cli", *command.split()]
    output = subprocess.run(program, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = "\n".join(line.rstrip() for line in output.splitlines()).strip()
    return f"```text\n$ dataselect {command}\n{lines}\n```"


if __name__ == "__main__":
    main()
