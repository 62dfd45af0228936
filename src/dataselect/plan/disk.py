"""How much room a method's features will take: said before it is spent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dataselect import report
from dataselect.data import files
from dataselect.settings import said


def features_size(sections: dict[str, Any], pool: Path | None = None) -> str | None:
    """One line: rows × bytes a row, as far as they are known without reading the data.

    Args:
        sections: the plan.
        pool: the pool's table, once it is there.
    """
    embed = sections["embed"]
    part = embed["features"]
    if part is None:
        return None
    reference = sections["reference"].get("reference")
    fitted = said("reference", reference, "checkpoints", 0) if reference else 0
    shape = {"width": _width(embed.get("model")), "checkpoints": fitted}
    each = said("embed", part, "bytes_a_row", None, **shape)
    if each is None:
        return f"features: {part['name']}; their size is not known before the model is read"
    raw = [files.resolve(file["path"]) for file in sections["dedup"]["pool"]]
    rows = _rows([str(pool)] if pool else raw)
    said_rows = f" × {rows:,} rows: at most {report.format_bytes(each * rows)}" if rows else ""
    return f"features: {part['name']}, {each:,} bytes a row{said_rows}"


def _width(model: dict[str, Any] | None) -> int | None:
    """The hidden size of a model that lies in a folder, or in the hub's cache."""
    if model is None:
        return None
    path = Path(files.resolve(model["name"])) / "config.json"
    if not path.is_file():
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model["name"], "config.json", revision=model["revision"])
        if not isinstance(found, str):
            return None
        path = Path(found)
    config = json.loads(path.read_text())
    config |= config.get("text_config") or {}
    return config.get("hidden_size") or config.get("d_model") or config.get("n_embd")


def _rows(paths: list[str]) -> int | None:
    """The rows of parquet files, from their footers; None where a file has to be read for it."""
    if not all(path.endswith(".parquet") for path in paths):
        return None
    import pyarrow.parquet as pq  # and not `tables`, with all that it imports: plan runs each time

    return sum(pq.read_metadata(path).num_rows for path in paths)
