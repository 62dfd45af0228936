"""The pool's own columns as numbers, for scorers that read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from dataselect.errors import InputError, did_you_mean


def check_numbers(table: Path, names: Iterable[str]) -> None:
    """Checks that columns of the pool hold numbers, if need be as text, or true and false.

    Args:
        table: the pool's table.

    Raises:
        InputError: there is no such column, or it holds something else.
    """
    schema = pl.scan_parquet(table, glob=False).collect_schema()
    for name in names:
        if name not in schema:
            hint = did_you_mean(name, schema)
            raise InputError(f"{table}: no column `{name}`. {hint} Run `dvc repro dedup`.")
        if schema[name] == pl.Boolean or schema[name].is_numeric():
            continue
        number = pl.col(name).cast(pl.Float64, strict=False)
        wrong = pl.scan_parquet(table, glob=False).drop_nulls(name).filter(number.is_null())
        for row_id, value in wrong.select("id", name).head(1).collect().iter_rows():
            raise InputError(
                f"the scorer's column `{name}`: expected numbers; the row `{row_id}` has the "
                f"text {value[:60]!r}. Fix the rows, leave such out with `pool.where`, or name "
                "another column in methods.yaml."
            )


def read_numbers(frame: pl.DataFrame, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Columns of a block of the pool as numbers: float64, b; null is NaN."""
    return {
        name: frame[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
        for name in names
    }
