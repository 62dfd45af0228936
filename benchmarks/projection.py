"""Measures the projections of gradients: seconds a row, and the error of cosines.

    OMP_NUM_THREADS=1 python benchmarks/projection.py [--small]

The lengths are those of adapters of rank 8 and 128 on q, k, v and o: of the model of ../shared
(6.8 M parameters), and of a 7 B Llama. For 7 B, random signs are drawn for a slice of the numbers
and the time is scaled, since all of them take minutes a row; what was scaled says so. traker (`pip
install --no-deps traker`) is measured where it is installed, with its projector for processors.
Processor time: others may use the machine meanwhile.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measuring import in_new_process, save_result

from dataselect.numerics import projection

DIMS = 8_192
#: Numbers of an adapter: layers × 4 matrices × rank × (rows + columns).
LENGTHS = {
    "small, rank 8": 8 * 4 * 8 * 512,
    "small, rank 128": 8 * 4 * 128 * 512,
    "7 B, rank 8": 32 * 4 * 8 * 8_192,
    "7 B, rank 128": 32 * 4 * 128 * 8_192,
}
ROWS = 16  # random signs are drawn once for as many
#: Longer vectors are measured on fewer rows, and random signs on a slice.
LONG, LONG_ROWS, SLICE = 4_000_000, 2, 2**18


def main() -> None:
    """Every projection for every length, each in a process of its own."""
    small = "--small" in sys.argv
    lengths = {"tiny": 5_000} if small else LENGTHS
    results: dict[str, Any] = {}
    for name, length in lengths.items():
        for kind in ("srht", "rademacher", "traker"):
            run = in_new_process("projection", "measure", kind=kind, length=length)
            results.setdefault(name, {"length": length})[kind] = run
    if not small:
        save_result("projection", {"dims": DIMS, **results})


def measure(kind: str, length: int) -> dict[str, Any]:
    """Seconds a row, and the root mean square error of the rows' cosines."""
    project = _projector(kind)
    if project is None:
        return {"skipped": "traker is not installed"}
    long = length > LONG
    scaled = long and kind != "srht"
    count, measured = (
        (LONG_ROWS, SLICE) if scaled else (LONG_ROWS, length) if long else (ROWS, length)
    )
    count = ROWS if scaled else count
    vectors = _alike(count, measured)
    start = time.process_time()
    projected = project(vectors)
    seconds = (time.process_time() - start) / count * (length / measured)
    result: dict[str, Any] = {"cpu_seconds_per_row": float(f"{seconds:.3g}"), "rows": count}
    if scaled:
        return {**result, "measured_numbers": measured}
    gap = _cosines(projected) - _cosines(vectors)
    return {**result, "error_of_cosines": float(f"{gap.square().mean().sqrt():.2g}")}


def _projector(kind: str) -> Callable[[torch.Tensor], torch.Tensor] | None:
    if kind != "traker":
        return lambda vectors: getattr(projection, kind)(vectors, DIMS, 0)
    try:
        from trak.projectors import (  # ty: ignore[import-not-found]
            BasicProjector,
            ProjectionType,
        )
    except ImportError:
        return None

    def project(vectors: torch.Tensor) -> torch.Tensor:
        return BasicProjector(
            grad_dim=vectors.shape[1], proj_dim=DIMS, seed=0, device=torch.device("cpu"),
            proj_type=ProjectionType.rademacher, block_size=128,
        ).project(vectors, model_id=0)  # fmt: skip

    return project


def _alike(count: int, length: int) -> torch.Tensor:
    """Vectors with cosines of some 0.5, seeded: count length, fp32."""
    draw = np.random.default_rng(0)
    common = draw.standard_normal(length, dtype=np.float32)
    return torch.stack([
        torch.from_numpy(common + draw.standard_normal(length, dtype=np.float32))
        for _ in range(count)
    ])  # fmt: skip


def _cosines(vectors: torch.Tensor) -> torch.Tensor:
    """The cosines of all pairs of rows."""
    unit = torch.nn.functional.normalize(vectors.float(), dim=1)
    pairs = torch.triu_indices(len(unit), len(unit), offset=1)
    return (unit @ unit.T)[pairs[0], pairs[1]]


if __name__ == "__main__":
    main()
