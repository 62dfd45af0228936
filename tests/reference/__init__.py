"""What the tests of several references share."""

import polars as pl

from dataselect.data import tables
from dataselect.data.checksums import SEAL
from tests.helpers import GOLDEN


def write_pool(path, rows):
    """Writes a pool's table: golden rows, as many as given, or those of a frame."""
    if isinstance(rows, int):
        rows = pl.read_parquet(GOLDEN / "pool.parquet").head(rows)
    numbered = rows.drop("row", strict=False).with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", numbered, path)
    return numbered


def checkpoint_bytes(fitted):
    """The content of every file of every checkpoint but for seals, by its folder and name."""
    return {
        (checkpoint.folder.name, path.name): path.read_bytes()
        for checkpoint in fitted.checkpoints
        for path in checkpoint.folder.iterdir()
        if path.name != SEAL
    }
