"""Rows that arrive in blocks, as part files that outlive a kill, and then as one file."""

from __future__ import annotations

import json
import shutil
from itertools import takewhile
from pathlib import Path
from typing import Any

from dataselect.data.checksums import file_sum, print_changed, read_checked, write_checked
from dataselect.data.files import atomic_write
from dataselect.errors import InputError

#: Where a part holds the state from which the next one is read: rows and state are one file, so
#: that neither can be there without the other.
STATE = b"dataselect.state"


class Parts:
    """The parts of one data set at one commit, in a folder of their own.

    Args:
        folder: is made. Other folders beside it, which hold parts of other commits, are removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for other in folder.parent.glob("*/"):
            if other != folder:
                shutil.rmtree(other)
        folder.mkdir(parents=True, exist_ok=True)
        self._finished = folder / "finished"
        written = sorted(folder.glob("[0-9]*.parquet"))
        self._paths = list(takewhile(_is_whole, written))
        for path in written[len(self._paths) :]:  # fetched again, from the last whole part on
            print_changed(path)  # also one of an earlier version, without a checksum
            path.unlink()
            self._finished.unlink(missing_ok=True)

    @property
    def complete(self) -> bool:
        """Whether all rows are here."""
        return self._finished.exists()

    def progress(self) -> tuple[int, dict[str, Any] | None]:
        """How many rows are here, and the state after them; None before the first."""
        import pyarrow.parquet as pq

        rows = sum(pq.read_metadata(path).num_rows for path in self._paths)
        if not self._paths:
            return 0, None
        return rows, json.loads(pq.read_schema(self._paths[-1]).metadata[STATE])

    def add(self, rows: Any, state: dict[str, Any]) -> None:
        """Writes a part, whole or not at all.

        Args:
            rows: a pyarrow table.
            state: from which the next part is read; JSON can hold it.
        """
        import pyarrow.parquet as pq

        path = self._folder / f"{len(self._paths):06d}.parquet"
        with atomic_write(path) as temporary:
            table = rows.replace_schema_metadata({STATE: json.dumps(state)})
            pq.write_table(table, temporary, compression="zstd")
            write_checked(path.with_suffix(".sum"), file_sum(temporary))
        self._paths.append(path)

    def finish(self) -> None:
        """Notes that no rows are missing."""
        self._finished.touch()

    def join(self, out: Path) -> None:
        """Writes all parts into one file, whole or not at all; each is a row group of it.

        Raises:
            InputError: the parts' columns have types that no common type can hold.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        schemas = [pq.read_schema(path).remove_metadata() for path in self._paths]
        try:
            schema = pa.unify_schemas(schemas, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(
                f"the rows' columns change their types: {error}. Fetch the files apart."
            ) from None
        with (
            atomic_write(out) as temporary,
            pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
        ):
            for path in self._paths:
                table = pq.read_table(path).replace_schema_metadata(None)
                writer.write_table(_as(table, schema))

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self._folder)


def _as(table: Any, schema: Any) -> Any:
    """A table with the columns and types of a schema; nulls where it has no such column."""
    import pyarrow as pa

    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _is_whole(path: Path) -> bool:
    """Whether a part is as it was written: a power cut may have torn it."""
    return read_checked(path.with_suffix(".sum"), quietly=True) == file_sum(path)
