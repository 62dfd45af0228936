"""BERTScore's encoder: loaded once, and before anything costs time."""

from __future__ import annotations

from functools import cache
from typing import Any

from dataselect.errors import InputError


def check_bert_scorer(settings: dict[str, Any]) -> None:
    """Loads the encoder of a kind that scores by BERTScore, so that a wrong one is found early.

    Args:
        settings: the block `metadata` of the kind; one whose `packages` have no `bert_score`
            passes.

    Raises:
        InputError: `encoder` or `layer` is not set, or the encoder cannot be loaded.
    """
    if "bert_score" in (settings.get("packages") or ()):
        bert_scorer(settings)


def bert_scorer(settings: dict[str, Any]) -> Any:
    """The `bert_score.BERTScorer` that a kind's `metadata` sets.

    Args:
        settings: `encoder` (a folder, or a name on the hub) and `layer` say what measures.

    Raises:
        InputError: either is not set, or the encoder cannot be loaded.
    """
    lacking = [name for name in ("encoder", "layer") if settings.get(name) is None]
    if lacking:
        raise InputError(
            f"eval_kinds: BERTScore needs `{lacking[0]}` in the kind's `metadata`. Add it, as in "
            "eval_kinds/bert_score.yaml."
        )
    return _loaded(settings["encoder"], settings["layer"])


@cache
def _loaded(encoder: str, layer: int) -> Any:
    from bert_score import BERTScorer

    try:
        return BERTScorer(model_type=encoder, num_layers=layer)
    except (OSError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"eval_kinds: the encoder `{encoder}` of BERTScore, layer {layer}, cannot be loaded: "
            f"{reason:.200}. Fix them in the kind's `metadata`, or fetch the model."
        ) from None
