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
    size, rows = row_bytes(sections), row_count(sections)
    if size is None:
        return f"features: {part.name}; their size is not known before the model is read"
    total = f" × {rows:,} rows: at most {report.format_bytes(size * rows)}" if rows else ""
    return f"features: {part.name}, {size:,} bytes per row{total}"


def row_bytes(sections: Plan) -> int | None:
    """The bytes of a row's features; None without features, or where they are not known yet."""
    part, reference = sections.embed.features, sections.reference.reference
    if part is None:
        return None
    left = load_part("reference", reference).checkpoints if reference else 0
    checkpoints = len(checkpoint_numbers(sections.embed.checkpoints, left, "checkpoints"))
    hidden_size = _hidden_size(sections.embed.model)
    return load_part("embed", part).bytes_per_row(hidden_size, checkpoints)


def _hidden_size(model: ModelSettings | None) -> int | None:
    """The hidden size of a model that lies in a folder, or in the hub's cache."""
    config = read_config(model) if model else None
    if config is None:
        return None
    return size_of(config, "hidden_size", "d_model", "n_embd")


def row_count(sections: Plan) -> int | None:
    """The pool's rows, from parquet files' footers; None where a file has to be read for it."""
    paths = [files.resolve(file.path) for file in sections.dedup.pool]
    if not all(path.endswith(".parquet") for path in paths):
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return sum(pq.read_metadata(path).num_rows for path in paths)
    except (OSError, pa.ArrowException):  # the stage says what is wrong with the file
        return None
