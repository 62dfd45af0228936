"""A data set on a hub, or in a bucket → remote/pool.parquet: one file of rows.

dvc repro remote/dvc.yaml      # settings: remote/params.yaml
dvc exp run -S pool.path=remote/pool.parquet
"""

import sys
from pathlib import Path
from typing import Any

from dataselect import report
from dataselect.data.files import atomic_write
from dataselect.errors import InputError
from dataselect.plan.params import read_yaml
from dataselect.settings import check_settings

HERE = Path(__file__).parent
ROWS_PER_BLOCK = 10_000  # what is held in memory


def fetch(
    out: Path,
    *,
    name: str,
    config: str | None = None,
    split: str = "train",
    revision: str | None = None,
    data_files: str | list[str] | None = None,
) -> int:
    """Streams a data set into one parquet file, whole or not at all; columns stay as they are.

    Args:
        name: a hub name, a local folder, or a builder (`json`, `parquet`) with `data_files`, which
            may be addresses in a bucket (`s3://…`) where its file system is installed.

    Returns:
        The number of rows.

    Raises:
        InputError: the data set, the split or the revision does not exist, or has no rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import load_dataset

    rows = 0
    with atomic_write(out) as temporary, report.progress("rows fetched", None) as progress:
        writer = None
        try:
            files: Any = {split: data_files} if data_files else None
            data = load_dataset(
                name, config, split=split, revision=revision, data_files=files, streaming=True
            )
            for block in data.with_format("arrow").iter(ROWS_PER_BLOCK):
                table = pa.table(block) if writer is None else pa.table(block).cast(writer.schema)
                writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd")
                writer.write_table(table)
                rows += table.num_rows
                progress(table.num_rows)
        except (OSError, ValueError, ConnectionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"{name} (config {config}, split {split}, revision {revision}): {reason} "
                "Fix remote/params.yaml."
            ) from None
        finally:
            if writer is not None:
                writer.close()
        if rows == 0:
            raise InputError(
                f"{name}: no rows in split `{split}`. Set another in remote/params.yaml."
            )
    return rows


def main() -> None:
    """Fetches what remote/params.yaml names; a user's mistake ends with a message and status 1."""
    try:
        settings = check_settings(fetch, read_yaml(HERE / "params.yaml"), "remote/params.yaml")
        rows = fetch(HERE / "pool.parquet", **settings)
    except InputError as error:
        sys.exit(f"fetch: {error}")
    report.table("Fetched", [("rows", rows)])


if __name__ == "__main__":
    main()
