"""Fetches a pool of the papers, or a data set of one's own, and prints what came."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt

from dataselect import report
from dataselect.data.files import write_json
from dataselect.fetch.blocks import DataSet
from dataselect.fetch.hub import print_commit
from dataselect.fetch.run import fetch
from dataselect.settings import settings_of


@dataclass(frozen=True, kw_only=True)
class NamedPool(DataSet):
    """A pool of the papers, as its file describes it.

    Attributes:
        description: what it is, in a line.
        source: the paper and the code that the facts are from.
        rows: the published number.
        rounded_to: in steps of how many rows that number was published; null: exactly.
        sources: the published clean-up, for `pool.sources` of params.yaml.
        verified: which of these facts were seen in a second place; or that they were not.
    """

    description: str
    source: str
    rows: Annotated[int, Gt(0)]
    rounded_to: Annotated[int, Gt(0)] | None = None
    sources: dict[str, str | None] = field(default_factory=dict)
    verified: str

    @property
    def unverified(self) -> bool:
        """Whether the name of the data set was not verified."""
        return self.verified.startswith("unverified")

    def agrees(self, rows: int) -> bool:
        """Whether a number of rows is the published one, as far as that was rounded."""
        return abs(rows - self.rows) <= (self.rounded_to or 0) / 2


def fetch_own(data_set: DataSet, out: Path, settings: Path) -> None:
    """Fetches a data set of one's own, and prints what came.

    Args:
        out: the Parquet file to write.
        settings: the file that names the data set, for messages.

    Raises:
        InputError: as of `fetch`.
    """
    with report.progress("rows fetched", None) as progress:
        fetched = fetch(data_set, out, str(settings), progress)
    report.table(f"Fetched {data_set.name}", [("rows", fetched.rows)])
    print_commit(data_set.name, data_set.revision, fetched.commit, f"`revision` of {settings}")


def fetch_pool(pool: NamedPool, out: Path, settings: Path) -> None:
    """Fetches a pool, prints its rows beside the published number, and notes both.

    The note is a JSON file beside `out`, with the end `.source.json`.

    Args:
        out: the Parquet file to write.
        settings: the file that describes the pool, for messages.

    Raises:
        InputError: as of `fetch`.
    """
    if pool.unverified:
        report.console.print(f"{pool.name}: {pool.verified}")
    with report.progress("rows fetched", pool.rows) as progress:
        fetched = fetch(pool, out, str(settings), progress)
    about = "about " if pool.rounded_to else ""
    rows: list[tuple[Any, ...]] = [
        ("rows", fetched.rows),
        ("published", f"{about}{pool.rows:,}"),
    ]
    if not pool.agrees(fetched.rows):
        rows.append(("warning: differs by", f"{fetched.rows - pool.rows:+,}"))
    report.table(f"Pool {out.stem}", rows)
    print_commit(pool.name, pool.revision, fetched.commit, f"`revision` of {settings}")
    made_of = {key: getattr(pool, key) for key in settings_of(DataSet) if key != "revision"}
    note = {**made_of, "commit": fetched.commit, "rows": fetched.rows, "published": pool.rows}
    write_json(out.with_suffix(".source.json"), note)
