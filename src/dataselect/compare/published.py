"""What a run costs by the formulas of the published comparison of methods."""

from __future__ import annotations

from typing import NamedTuple

from dataselect.eval.cost import with_total
from dataselect.settings import Part


class RunSize(NamedTuple):
    """The numbers that the published formulas take.

    Attributes:
        selector_parameters: of the model that measures the pool: N in the formulas of selection.
        trained_parameters: of the model that is trained: N in the formula of training.
        selector_tokens: the longest row that the selector reads, in tokens: L of selection.
        train_tokens: the longest row that is trained on, in tokens: L of training.
        pool: rows of the pool: P.
        selected: rows that are trained on: D.
        epochs: how often training passes over them.
        forward: whether a model measures the pool at all.
        passes: how many models do, one after another.
    """

    selector_parameters: int
    trained_parameters: int
    selector_tokens: int
    train_tokens: int
    pool: int
    selected: int
    epochs: float
    forward: bool
    passes: int


def published_flops(reference: Part | None, size: RunSize) -> dict[str, dict[str, float]]:
    """FLOPs by the paper's formulas (`paper`), and as the code of its plots has them.

    Both take every row to be as long as the limit. Training: epochs·L·6ND (two epochs there). A
    forward pass over the pool: 2·L·2NP; the plots leave out the first 2. LESS: 3·L·6NP; the plots
    add a warm-up of 2·L·6N on its share of the rows. IFD: L·2N on the rows that are clustered,
    L·6N on those that are trained on, and a forward pass. The paper has no S2L: here it is
    epochs·L·6NP, and a forward pass per checkpoint that measures the pool and one before.

    Args:
        reference: how the selector is fitted first; None: not at all.

    Returns:
        By formula, FLOPs of `selection`, `training` and their `total`.

    Source: arXiv 2503.01807, appendix E. N there is 8e9 in the plots whatever the model; here it is
    the model's own.
    """
    training = size.epochs * size.train_tokens * 6.0 * size.trained_parameters * size.selected
    forward = 2.0 * size.selector_tokens * size.selector_parameters * size.pool
    plotted = _selection(reference, size, forward)
    if reference and reference.name == "warmup":
        n, length = size.selector_parameters, size.selector_tokens
        plotted += 2.0 * length * 6 * n * reference.settings["share"] * size.pool
    return {
        "paper": with_total(_selection(reference, size, 2 * forward), training),
        "plotting_code": with_total(plotted, training),
    }


def _selection(reference: Part | None, size: RunSize, forward: float) -> float:
    """FLOPs of selection, where one forward pass over the pool is taken to be `forward`."""
    n, length, pool = size.selector_parameters, size.selector_tokens, size.pool
    if not size.forward:
        return 0.0
    if reference is None:
        return forward
    settings = reference.settings
    if reference.name == "warmup":
        return 3.0 * length * 6 * n * pool
    if reference.name == "experienced":
        clustered = min(settings["most_rows"], pool)
        trained = min(settings["clusters"] * settings["per_cluster"], pool)
        return length * (2.0 * n * clustered + 6.0 * n * trained) + forward
    if reference.name == "proxy":
        fit = settings["epochs"] * length * 6.0 * n * pool
        return fit + size.passes * forward
    return forward
