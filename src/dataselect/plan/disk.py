"""How much disk a method's features will take, before they are computed."""

from __future__ import annotations

from dataselect import report
from dataselect.data import files
from dataselect.data.checkpoints import checkpoint_numbers
from dataselect.models.config import read_config, size_of
from dataselect.models.settings import ModelSettings
from dataselect.plan.run import Plan
from dataselect.settings import load_part


def features_size(sections: Plan) -> str | None:
    """One line: rows × bytes per row, as far as they are known without reading the data.

    Returns:
        None for a method without features.
    """
    part = sections.embed.features
    if part is None:
        return None
    reference = sections.reference.reference
    left = load_part("reference", reference).checkpoints if reference else 0
    checkpoints = len(checkpoint_numbers(sections.embed.checkpoints, left, "checkpoints"))
    feature = load_part("embed", part)
    row_bytes = feature.bytes_per_row(_hidden_size(sections.embed.model), checkpoints)
    if row_bytes is None:
        return f"features: {part.name}; their size is not known before the model is read"
    raw = [files.resolve(file.path) for file in sections.dedup.pool]
    rows = _row_count(raw)
    total = f" × {rows:,} rows: at most {report.format_bytes(row_bytes * rows)}" if rows else ""
    return f"features: {part.name}, {row_bytes:,} bytes per row{total}"


def _hidden_size(model: ModelSettings | None) -> int | None:
    """The hidden size of a model that lies in a folder, or in the hub's cache."""
    config = read_config(model) if model else None
    if config is None:
        return None
    return size_of(config, "hidden_size", "d_model", "n_embd")


def _row_count(paths: list[str]) -> int | None:
    """The rows of parquet files, from their footers; None where a file has to be read for it."""
    if not all(path.endswith(".parquet") for path in paths):
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return sum(pq.read_metadata(path).num_rows for path in paths)
    except (OSError, pa.ArrowException):  # the stage says what is wrong with the file
        return None
