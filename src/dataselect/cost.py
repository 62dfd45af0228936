"""What a run cost: seconds a stage."""

from __future__ import annotations

import json
from typing import Any

from dataselect.stage import record

STAGES = ("dedup", "reference", "embed", "score", "aggregate", "train")


def seconds() -> dict[str, Any]:
    """Seconds of every stage when it was last computed; null where that was on another machine."""
    answer: dict[str, Any] = {}
    for name in STAGES:
        path = record(name)
        answer[name] = json.loads(path.read_text())["seconds"] if path.exists() else None
    return {"seconds": answer}
