"""The method's features of pool and queries: which there are to be, and what decides them."""

from __future__ import annotations

from functools import cache
from inspect import getsourcefile
from pathlib import Path
from typing import Any

from dataselect import fingerprint, shards
from dataselect.features import Compute
from dataselect.settings import function


def embed(section: dict[str, Any], out: Path) -> dict[str, shards.Done]:
    """Writes what the plan's `embed` section asks for to `out/features/<side>/`.

    Returns:
        What was done for each side, `queries` and `pool`; nothing for a method without features.
    """
    feature = section["features"]
    if feature is None:
        return {}

    @cache
    def load() -> Compute:  # once for both sides, and not at all where nothing is to be computed
        of = function("features", feature["name"], "plan.json")
        return of(section["model"], **feature["settings"])

    sides = ("queries", "pool") if section["queries"] else ("pool",)
    key = _key(section)
    return {
        side: shards.write(side, out / f"{side}.parquet", out / "features", load, key)
        for side in sides
    }


def _key(section: dict[str, Any]) -> list[Any]:
    """What features depend on besides the rows: settings, model, precision and code."""
    from dataselect.model import torch_dtype

    feature = section["features"]
    file = getsourcefile(function("features", feature["name"], "plan.json"))
    # `auto` is another precision on another machine, and both may share a scratch folder.
    precision = str(torch_dtype(section["model"]["dtype"]))
    return [feature, section["model"], precision, fingerprint.code(Path(str(file)))]
