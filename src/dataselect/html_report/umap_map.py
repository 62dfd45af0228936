"""The map by UMAP instead of principal components, where the library is installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from dataselect.errors import InputError


def reduce_by_umap(rows: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Places rows (n k) and queries (m k) in two dimensions: float32, n 2 and m 2.

    Rows without features stay without a place (NaN). One thread and a fixed seed: same rows, same
    map.

    Source: McInnes, Healy and Melville 2018, arXiv 1802.03426; the library's own defaults.

    Raises:
        InputError: the library is not installed, or fewer than three rows have features.
    """
    try:
        umap: Any = import_module("umap")
    except ImportError:
        raise InputError(
            "--map umap: the library is not installed. Run `pip install umap-learn`, or leave the "
            "option out: principal components need nothing else."
        ) from None
    known = np.isfinite(rows).all(axis=1)
    if np.count_nonzero(known) < 3:
        raise InputError("--map umap: fewer than 3 rows have features. Leave the option out.")
    neighbours = min(15, int(np.count_nonzero(known)) - 1)
    reducer = umap.UMAP(n_components=2, n_neighbors=neighbours, random_state=0, n_jobs=1)
    placed = np.full((len(rows), 2), np.nan, np.float32)
    placed[known] = reducer.fit_transform(rows[known])
    found = np.full((len(queries), 2), np.nan, np.float32)
    if (usable := np.isfinite(queries).all(axis=1)).any():
        found[usable] = reducer.transform(queries[usable])
    return placed, found if len(queries) else None
