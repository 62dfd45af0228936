"""What the run of a profile will cost, by the published formulas: before anything is fetched."""

from __future__ import annotations

from typing import Any, NamedTuple

from dataselect import report
from dataselect.compare.published import RunSize, published_flops
from dataselect.data.budget import share_of
from dataselect.models.settings import ModelSettings
from dataselect.plan.method import method_entry
from dataselect.plan.models import resolve_model
from dataselect.plan.params import check_params
from dataselect.plan.profile_names import read_settings
from dataselect.plan.profiles import METHODS, Composed
from dataselect.train.memory import held_per_parameter

#: Assumed: a card's peak in dense bf16 products, FLOP/s; and the share of it that a run reaches.
CARDS = {"H100": 989e12, "RTX 4090": 165e12}
SHARE_OF_PEAK = 0.4

#: The feature that takes a tokenizer, and no pass of a model.
WITHOUT_MODEL = "lengths"


class Cost(NamedTuple):
    """What a profile's run will take.

    Attributes:
        flops: by formula and step, as `published_flops` returns them.
        size: what the formulas were given.
        trained_bytes: weights, gradients and Adam's two moments in training, in bytes.
        reference_bytes: likewise in fitting the method's reference; 0 where it has none.
        measuring_bytes: the weights of the model that measures rows; 0 where none does.
    """

    flops: dict[str, dict[str, float]]
    size: RunSize
    trained_bytes: int
    reference_bytes: int
    measuring_bytes: int


def profile_cost(composed: Composed) -> Cost | None:
    """The cost of selection and training; None where a number of parameters or rows is unknown.

    Evaluation is not in it. The pool's number of rows is the published one; a filter of the
    profile's, `pool.where`, makes it unknown.
    """
    params, parts = composed.params, composed.parts
    filtered = params["pool"].get("where") is not None
    rows = composed.pool.rows if composed.pool and not filtered else None
    checked = check_params({k: v for k, v in params.items() if k not in ("queries", "tests")})
    method = params["method"]
    own = method_entry(read_settings(METHODS), method).model
    selector = resolve_model(params, own, method)
    forward = parts.features is not None and parts.features.name != WITHOUT_MODEL
    counts = [_parameters(model, composed.models) for model in (checked.model, selector)]
    trained, measuring = counts[0], counts[1] if forward else 0
    if rows is None or trained is None or measuring is None:
        return None
    budget, fitted = params["budget"], parts.reference_contract
    selected = share_of(budget, rows) if isinstance(budget, str) else budget
    size = RunSize(
        selector_parameters=measuring,
        trained_parameters=trained,
        selector_tokens=selector.max_tokens,
        train_tokens=checked.model.max_tokens,
        pool=rows,
        selected=selected,
        epochs=checked.train.passes(selected),
        forward=forward,
        passes=parts.passes,
    )
    return Cost(
        published_flops(parts.reference, size),
        size,
        round(held_per_parameter(checked.train) * trained),
        round(held_per_parameter(fitted.recipe) * measuring) if fitted else 0,
        (4 if selector.dtype == "float32" else 2) * measuring,
    )


def _parameters(model: ModelSettings, models: dict[str, dict[str, Any]]) -> int | None:
    """A model's number of parameters; None where profiles/models.yaml does not have it."""
    return next((m["parameters"] for m in models.values() if m["name"] == model.name), None)


def show_cost(composed: Composed) -> None:
    """Prints FLOPs, hours of a GPU on a stated assumption, and memory."""
    cost = profile_cost(composed)
    if cost is None:
        report.console.print(
            "Cost: not known before the pool is there, as the number of rows, or of a model's "
            "parameters, is not stated. Then `dataselect estimate` measures it."
        )
        return
    rows = []
    for step in ("selection", "training", "total"):
        paper, plots = (cost.flops[way][step] for way in ("paper", "plotting_code"))
        hours = [f"{paper / (peak * SHARE_OF_PEAK) / 3600:,.1f} h" for peak in CARDS.values()]
        rows.append((step, *(f"{flops:.1e}" if flops else "0" for flops in (paper, plots)), *hours))
    cards = [f"one {card}" for card in CARDS]
    report.table("Cost, estimated", rows, ("", "FLOPs: paper", "FLOPs: plots", *cards))
    size = cost.size
    memory = f"training holds {report.format_bytes(cost.trained_bytes)}"
    if cost.reference_bytes:
        memory += f", fitting the method's reference {report.format_bytes(cost.reference_bytes)}"
    if cost.measuring_bytes:
        memory += f", measuring rows {report.format_bytes(cost.measuring_bytes)}"
    peaks = ", ".join(f"{card} {peak / 1e12:.0f}" for card, peak in CARDS.items())
    report.console.print(
        f"{size.selected:,} of {size.pool:,} rows, each taken to be as long as the limit "
        f"({size.selector_tokens:,} tokens to measure, {size.train_tokens:,} to train): real rows "
        f"are shorter. Hours: the paper's FLOPs at an assumed {SHARE_OF_PEAK:.0%} of the peak in "
        f"bf16 ({peaks} TFLOP/s). Not in it: evaluation. Once the pool is there, `dataselect "
        "estimate` measures.",
        markup=False,
        highlight=False,
    )
    report.console.print(
        f"Memory of a GPU: {memory}, and activations; with `sharding: full` a part.",
        markup=False,
        highlight=False,
    )
