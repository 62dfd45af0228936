"""The method's features of pool and queries: which there are to be, and what decides them."""

from __future__ import annotations

from functools import cache
from inspect import getsourcefile, signature
from pathlib import Path
from typing import Any

from dataselect import fingerprint, shards
from dataselect.features import Compute
from dataselect.references import checkpoints
from dataselect.settings import function, room


def embed(section: dict[str, Any], out: Path, rows: int | None = None) -> dict[str, shards.Done]:
    """Writes what the plan's `embed` section asks for to `out/features/<side>/`.

    Args:
        out: the folder with the pool, the queries, and what the reference stage left.
        rows: rows a shard; None: as many as suit the feature.

    Returns:
        What was done for each side, `queries` and `pool`; nothing for a method without features.
    """
    feature = section["features"]
    if feature is None:
        return {}

    @cache
    def load() -> Compute:  # once for both sides, and not at all where nothing is to be computed
        of = function("features", feature["name"], "plan.json")
        looks_with = _looks_with(section, out / "reference")
        taken = {k: v for k, v in looks_with.items() if k in signature(of).parameters}
        return of(**taken, **feature["settings"])

    rows = rows or getattr(room("features", feature["name"], "plan.json"), "ROWS", shards.ROWS)
    sides = ("queries", "pool") if section["queries"] else ("pool",)
    key = _key(section, out / "reference")
    return {
        side: shards.write(side, out / f"{side}.parquet", out / "features", load, key, rows)
        for side in sides
    }


def _looks_with(section: dict[str, Any], reference: Path) -> dict[str, Any]:
    """The model that looks, and the checkpoints that the reference stage fitted, if any.

    A feature that takes no checkpoints looks with the last of them as its model.
    """
    answer = {"model": section.get("model"), "checkpoints": checkpoints(reference)}
    of = function("features", section["features"]["name"], "plan.json")
    if answer["checkpoints"] and "checkpoints" not in signature(of).parameters:
        last = str(answer["checkpoints"][-1].folder)
        answer["model"] = {**section["model"], "name": last, "revision": None}
    return answer


def _key(section: dict[str, Any], reference: Path) -> list[Any]:
    """What features depend on besides the rows: settings, model, precision and code."""
    feature = section["features"]
    file = getsourcefile(function("features", feature["name"], "plan.json"))
    key = [feature, section.get("model"), fingerprint.code(Path(str(file)))]
    if "model" in section:
        from dataselect.model import torch_dtype

        # `auto` is another precision on another machine, and both may share a scratch folder.
        key.append(str(torch_dtype(section["model"]["dtype"])))
    return [*key, fingerprint.folder(str(reference)) if section["reference"] else None]
