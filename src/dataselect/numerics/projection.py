"""Random projections of long vectors to short ones that keep their angles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

#: Rows of the sign matrix that are drawn at a time; another number gives other signs.
CHUNK = 1_024
#: The size of the Hadamard matrix that larger ones are Kronecker products of.
FACTOR = 128


def rademacher(vectors: Tensor, dims: int, seed: int) -> Tensor:
    """Projects rows (b D) by a matrix of random signs (D dims): b dims, fp32.

    The matrix is never held: CHUNK rows of it are drawn at a time, from the seed and their number.
    2·D·dims FLOPs per row.
    """
    import torch

    projected = torch.zeros(len(vectors), dims, device=vectors.device)
    for number, part in enumerate(vectors.split(CHUNK, dim=1)):
        signs = torch.from_numpy(_signs(CHUNK * dims, [seed, number])).to(vectors.device)
        matrix = signs.view(CHUNK, dims)[: part.shape[1]].float().mul_(2).sub_(1)
        projected += part.float() @ matrix
    return projected


def srht(vectors: Tensor, dims: int, seed: int) -> Tensor:
    """Projects rows (b D) by a subsampled randomised Hadamard transform: b min(dims, D'), fp32.

    Random signs, a Hadamard transform of the rows padded to D' = 2^p, and `dims` of its D'
    numbers, drawn once: the error of a matrix of random signs, with 2·D'·log D' additions.

    Source: Ailon and Chazelle 2006, Tropp 2011 (arXiv 1011.1595).
    """
    import torch

    rows, length = vectors.shape
    padded = _padded(length)
    signs = torch.from_numpy(_signs(length, [seed, 0])).to(vectors.device)
    signed = torch.zeros(rows, padded, device=vectors.device)
    signed[:, :length] = vectors * signs.float().mul_(2).sub_(1)
    kept = np.random.default_rng([seed, 1]).permutation(padded)[:dims]
    return _hadamard(signed)[:, torch.from_numpy(np.sort(kept)).to(vectors.device)]


def width(kind: str, length: int, dims: int) -> int:
    """The length of a projected vector."""
    if kind == "none":
        return length
    return dims if kind == "rademacher" else min(dims, _padded(length))


def flops(kind: str, length: int, dims: int) -> float:
    """FLOPs of projecting one vector."""
    if kind == "none":
        return 0.0
    padded = _padded(length)
    return 2.0 * length * dims if kind == "rademacher" else 2.0 * padded * np.log2(padded)


def _padded(length: int) -> int:
    """The power of two that a vector is padded to."""
    return 1 << max(0, length - 1).bit_length()


def _signs(count: int, seed: list[int]) -> np.ndarray:
    """Random zeros and ones (uint8), with equal probability."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    return np.unpackbits(np.frombuffer(generator.bytes(-(-count // 8)), dtype=np.uint8))[:count]


def _hadamard(vectors: Tensor) -> Tensor:
    """The Hadamard transform of every row (b 2^p), up to scale: one factor of it at a time."""
    import torch
    from scipy.linalg import hadamard

    rows, length = vectors.shape
    remaining = length
    while remaining > 1:  # H of 2^p is a Kronecker product of smaller ones, an index each
        size = min(FACTOR, remaining)
        matrix = torch.from_numpy(hadamard(size, dtype=np.float32)).to(vectors.device)
        # The first index is multiplied and becomes the last: after all, they stand as before.
        vectors = vectors.view(rows, size, -1).transpose(1, 2) @ matrix
        vectors = vectors.reshape(rows, length)
        remaining //= size
    return vectors
