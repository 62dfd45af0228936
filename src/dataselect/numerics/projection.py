"""Random projections of long vectors to short ones that keep their angles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

#: Rows of the sign matrix that are made at a time; part of what the numbers are.
CHUNK = 1_024
#: The Hadamard matrix that longer ones are products of.
LEAF = 128


def rademacher(vectors: Tensor, dims: int, seed: int) -> Tensor:
    """Projects rows (b D) by a matrix of random signs (D dims): b dims, fp32.

    The matrix is never held: CHUNK rows of it are drawn at a time, from the seed and their place.
    2·D·dims FLOPs a row.
    """
    import torch

    answer = torch.zeros(len(vectors), dims, device=vectors.device)
    for number, part in enumerate(vectors.split(CHUNK, dim=1)):
        signs = torch.from_numpy(_signs(CHUNK * dims, [seed, number])).to(vectors.device)
        matrix = signs.view(CHUNK, dims)[: part.shape[1]].float().mul_(2).sub_(1)
        answer += part.float() @ matrix
    return answer


def srht(vectors: Tensor, dims: int, seed: int) -> Tensor:
    """Projects rows (b D) by a subsampled randomised Hadamard transform: b min(dims, D'), fp32.

    Random signs, a Hadamard transform of the rows padded to D' = 2^p, and `dims` of its D'
    numbers, drawn once: the same error as random signs everywhere, at 2·D'·log D' additions.

    Source: Ailon and Chazelle 2006, Tropp 2011 (arXiv 1011.1595).
    """
    import torch

    rows, length = vectors.shape
    padded = _padded(length)
    signs = torch.from_numpy(_signs(length, [seed, 0])).to(vectors.device)
    whole = torch.zeros(rows, padded, device=vectors.device)
    whole[:, :length] = vectors * signs.float().mul_(2).sub_(1)
    kept = np.random.default_rng([seed, 1]).permutation(padded)[:dims]
    return _hadamard(whole)[:, torch.from_numpy(np.sort(kept)).to(vectors.device)]


def width(kind: str, length: int, dims: int) -> int:
    """How many numbers are left of a vector."""
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
    """Zeros and ones (uint8), a fair coin each."""
    drawn = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    return np.unpackbits(np.frombuffer(drawn.bytes(-(-count // 8)), dtype=np.uint8))[:count]


def _hadamard(vectors: Tensor) -> Tensor:
    """The Hadamard transform of every row (b 2^p), up to scale: one factor of it at a time."""
    import torch
    from scipy.linalg import hadamard

    rows, length = vectors.shape
    left = length
    while left > 1:  # H of 2^p is the Kronecker product of smaller ones, an index each
        leaf = min(LEAF, left)
        matrix = torch.from_numpy(hadamard(leaf, dtype=np.float32)).to(vectors.device)
        # The first index is multiplied and becomes the last: after all, they stand as before.
        vectors = vectors.view(rows, leaf, -1).transpose(1, 2) @ matrix
        vectors = vectors.reshape(rows, length)
        left //= leaf
    return vectors
