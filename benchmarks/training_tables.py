"""The tables of docs/large-models.md: the memory of training, and its speed."""

from __future__ import annotations

from typing import Any


def memory(result: dict[str, Any]) -> str:
    """The estimate of training's memory beside what was counted, by way and size."""
    sizes = {name: runs for name, runs in result.items() if name != "machine"}
    ways = list(next(iter(sizes.values())))
    lines = [f"| GB estimated / counted | {' | '.join(sizes)} |", "|---|" + "---|" * len(sizes)]
    for way in ways:
        figures = [
            f"{runs[way]['estimated'] / 1e9:.1f} / {runs[way]['counted'] / 1e9:.1f}"
            if way in runs
            else "–"
            for runs in sizes.values()
        ]
        lines.append(f"| {way} | {' | '.join(figures)} |")
    ratios = [run["ratio"] for runs in sizes.values() for run in runs.values()]
    note = (
        f"The estimate is {min(ratios):.2f} to {max(ratios):.2f} times what is counted. "
        "Micro-batches of one row of 1,024 tokens, a vocabulary of 32,000. "
        "(`python benchmarks/memory.py`)"
    )
    return "\n".join([*lines, "", note])


def training(result: dict[str, Any]) -> str:
    """Tokens per second and share of a matrix product, by way of training."""
    sizes = [(size, runs) for size, runs in result.items() if isinstance(runs, dict)]
    sizes = [(size, runs) for size, runs in sizes if size != "machine"]
    lines = [
        "| parameters | way | tokens/s | of a matrix product | peak memory |",
        "|---|---|---|---|---|",
    ]
    for size, runs in sizes:
        for way, run in runs.items():
            figures = f"{run['tokens_per_second']:,} | {run['share_of_the_product']:.0%}"
            lines.append(f"| {size} | {way} | {figures} | {run['peak_mb'] / 1e3:.1f} GB |")
    (run, *_), processor = sizes[0][1].values(), result["machine"]["processor"]
    note = (
        f"Per second of one core's time ({processor}, which others used meanwhile), in fp32 where "
        f"nothing else is said, with {run['rows']} real rows of {run['tokens']:,} tokens, "
        f"micro-batches of {run['micro_batch_size']} rows, without the first step. What "
        "padding takes, and what checkpointing computes again, does not count as work. "
        "(`python benchmarks/training.py`)"
    )
    return "\n".join([*lines, "", note])


def training_gpu(result: dict[str, Any]) -> str:
    """Tokens per second, and the memory of a GPU beside the plan's estimate, by way of training."""
    sizes = [(size, result[size]) for size in ("1B", "7B") if size in result]
    lines = [
        "| parameters | way | rows | tokens/s | of a matrix product | peak GB | estimated |",
        "|---|---|---|---|---|---|---|",
    ]
    ratios = []
    for size, runs in sizes:
        for way, run in runs.items():
            if not isinstance(run, dict):
                continue
            estimate = run.get("estimated_gb")
            if estimate is not None:
                ratios.append(estimate / run["gpu_gb"])
            figures = (
                f"{run['micro_batch_size']} | {run['tokens_per_second']:,} | "
                f"{run['share_of_the_product']:.1%} | {run['gpu_gb']:.1f} | "
                f"{'–' if estimate is None else f'{estimate:.1f}'}"
            )
            lines.append(f"| {size} | {way} | {figures} |")
    note = (
        f"One {result['gpu']}; steps of real rows of some 160 tokens, without the first step. The "
        f"estimate is {min(ratios):.2f} to {max(ratios):.2f} times the peak of what torch had "
        "allocated. (`python benchmarks/training.py`)"
    )
    return "\n".join([*lines, "", note])


def overhead(result: dict[str, Any]) -> str:
    """A step of training against a bare loop's, and what its parts take."""
    lines = [
        "| model, way | tokens a step | of a bare loop's time | the model's share "
        "| tokens, padding | log, curve | checks | checkpoint | rest |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, run in result["cases"].items():
        parts = run["parts_cpu_ms"]
        total = sum(parts.values())
        shares = [parts[name] / total for name in ("batch", "log", "finite", "checkpoint", "rest")]
        lines.append(
            f"| {case} | {run['tokens_a_step']} | {run['cpu_ratio']:.2f} | "
            f"{run['models_share']:.1%} | {' | '.join(f'{share:.1%}' for share in shares)} |"
        )
    note = (
        f"One core's time ({result['machine']['processor']}), in fp32; {result['steps']} steps "
        f"without the first, {result['rounds']} rounds in turn, the median; a checkpoint in each. "
        "(`python benchmarks/training_overhead.py`)"
    )
    return "\n".join([*lines, "", note])
