"""The table of packed rows on a GPU, in docs/large-pools.md."""

from __future__ import annotations

from typing import Any


def packed_rows(result: dict[str, Any]) -> str:
    """How fast a GPU embeds packed and padded rows, by shape and size of batch."""
    part = result["packed"]
    shapes = {size: part[size] for size in ("1B", "8B") if size in part}
    lines = [
        "| parameters | rows | tokens of a batch | tokens/s | of a matrix product | memory |",
        "|---|---|---|---|---|---|",
    ]
    for shape in shapes.values():
        size = f"{shape['parameters'] / 1e9:.1f} B"
        for run in shape["runs"]:
            made = ", compiled" if run.get("compiled") else ""
            made += ", tokens made meanwhile" if run["tokens_from"] == "meanwhile" else ""
            lines.append(
                f"| {size} | {run['rows_are']}{made} | {run['tokens_per_batch']:,} "
                f"| {run['tokens_per_second']:,} | {run['share_of_the_product']:.1%} "
                f"| {_memory(run)} |"
            )
    amounts = " and ".join(
        f"{shape['rows']:,} real rows of {shape['tokens']:,} tokens" for shape in shapes.values()
    )
    product = " and ".join(f"{s['product_gflops'] / 1e3:.0f}" for s in shapes.values())
    note = (
        f"{part['gpu']}, bf16, Llama shapes with random weights and a vocabulary of 8,192, "
        f"{amounts}. The product alone does {product} TFLOP/s. Tokens were made before, where it "
        "does not say otherwise. (`python benchmarks/embed.py` where there is a GPU)"
    )
    return "\n".join([*lines, "", note])


def _memory(run: dict[str, Any]) -> str:
    return "–" if run["peak_gb"] is None else f"{run['peak_gb']:.1f} GB"
