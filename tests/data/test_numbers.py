"""The pool's own columns as numbers, and columns that hold none."""

import polars as pl

from dataselect.data import tables
from dataselect.data.numbers import check_numbers, read_numbers
from tests.helpers import complete, mistake


def write_pool(path, **columns):
    count = len(next(iter(columns.values())))
    frame = pl.DataFrame({
        "row": pl.int_range(count, eager=True),
        "id": [f"r{i}" for i in range(count)],
        "source": "s",
        "messages": pl.Series([[]] * count, dtype=tables.MESSAGES),
        **columns,
    })  # fmt: skip
    tables.write("pool", complete("pool", frame), path)


def test_a_column_that_holds_no_numbers_is_refused(in_scratch):
    path = in_scratch / "pool.parquet"
    write_pool(path, x=["4", None, "good", "fine"], y=["4", "5.5", "6", "7"], z=[1, 2, 3, 4])
    assert mistake(check_numbers, path, ["z", "x"]) == (
        "the scorer's column `x`: expected numbers; the row `r2` has the text 'good'. Fix the "
        "rows, leave such out with `pool.where`, or name another column in methods.yaml."
    )
    check_numbers(path, ["y"])
    assert read_numbers(pl.read_parquet(path), ["y"])["y"].tolist() == [4, 5.5, 6, 7]
    assert "no column `zz`. Did you mean `z`?" in mistake(check_numbers, path, ["zz"])
    assert read_numbers(pl.read_parquet(path), ["z"])["z"].tolist() == [1, 2, 3, 4]
