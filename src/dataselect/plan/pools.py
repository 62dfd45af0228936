"""Pools by name: the files `remote/pools/<name>.yaml`, and what was fetched of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt

from dataselect import report
from dataselect.data.files import resolve, write_json
from dataselect.errors import InputError, did_you_mean
from dataselect.fetch.blocks import DataSet
from dataselect.fetch.run import Fetched, fetch
from dataselect.plan.params import read_yaml
from dataselect.settings import check_settings, settings_of

#: Where the named pools are, and are fetched to.
FOLDER = Path("remote/pools")

#: A data set of one's own, what names it, and the command that fetches it.
OWN = Path("remote/pool.parquet")
OWN_SETTINGS = Path("remote/params.yaml")


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


def pool_names() -> list[str]:
    """The names of all pools, in alphabetical order."""
    return sorted(path.stem for path in Path(resolve(str(FOLDER))).glob("*.yaml")
                  if path.stem not in ("dvc", "params"))  # fmt: skip


def load_pool(name: str, where: str) -> NamedPool:
    """A pool by its name.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: there is no such pool, or its file has a mistake.
    """
    if name not in pool_names():
        hint = did_you_mean(name, pool_names())
        raise InputError(f"{where}: no pool is called `{name}`. {hint}")
    file = _settings(name)
    content = read_yaml(resolve(str(file)))
    return NamedPool(**check_settings(NamedPool, content, str(file)))


def check_fetched(paths: str | list[str]) -> None:
    """Checks that pools which `pool.path` names were fetched.

    Raises:
        InputError: such a pool is not there, with the command that fetches it; or no pool has that
            name.
    """
    for path in map(Path, [paths] if isinstance(paths, str) else paths):
        if Path(resolve(str(path))).is_file():
            continue
        if path == OWN:
            raise InputError(
                f"pool.path: {OWN} was not fetched. Name a data set in {OWN_SETTINGS} and run "
                "`dvc repro remote/dvc.yaml`."
            )
        if path.parent == FOLDER and path.suffix == ".parquet" and "*" not in path.name:
            load_pool(path.stem, "pool.path")
            raise InputError(
                f"pool.path: the pool `{path.stem}` was not fetched. Run "
                f"`dvc repro {FOLDER}/dvc.yaml:pool@{path.stem}`."
            )


def fetch_own() -> None:
    """Fetches the data set that remote/params.yaml names, and prints what came."""
    content = read_yaml(OWN_SETTINGS)
    data_set = DataSet(**check_settings(DataSet, content, str(OWN_SETTINGS)))
    with report.progress("rows fetched", None) as progress:
        fetched = fetch(data_set, OWN, str(OWN_SETTINGS), progress)
    report.table(f"Fetched {data_set.name}", [("rows", fetched.rows)])
    _print_commit(data_set, fetched, OWN_SETTINGS)


def fetch_pool(name: str) -> None:
    """Fetches a pool by its name, prints its rows beside the published number, and notes both."""
    pool = load_pool(name, "remote/fetch.py")
    if pool.unverified:
        report.console.print(f"{pool.name}: {pool.verified}")
    with report.progress("rows fetched", pool.rows) as progress:
        fetched = fetch(pool, FOLDER / f"{name}.parquet", str(_settings(name)), progress)
    about = "about " if pool.rounded_to else ""
    rows: list[tuple[Any, ...]] = [
        ("rows", fetched.rows),
        ("published", f"{about}{pool.rows:,}"),
    ]
    if not pool.agrees(fetched.rows):
        rows.append(("warning: differs by", f"{fetched.rows - pool.rows:+,}"))
    report.table(f"Pool {name}", rows)
    _print_commit(pool, fetched, _settings(name))
    made_of = {key: getattr(pool, key) for key in settings_of(DataSet) if key != "revision"}
    note = {**made_of, "commit": fetched.commit, "rows": fetched.rows, "published": pool.rows}
    write_json(FOLDER / f"{name}.source.json", note)


def _print_commit(data_set: DataSet, fetched: Fetched, settings: Path) -> None:
    if fetched.commit and data_set.revision != fetched.commit:
        report.console.print(
            f"{data_set.name} is at commit {fetched.commit}. To keep to it, set `revision` to that "
            f"in {settings}."
        )


def show_pools() -> None:
    """Prints a table of all pools."""
    pools = {name: load_pool(name, "pools") for name in pool_names()}
    rows = [
        (name, f"{'~' if pool.rounded_to else ''}{pool.rows:,}", _state(name), pool.name)
        for name, pool in pools.items()
    ]
    header = ("pool", "published", "fetched", "data set")
    report.table("Pools of the papers, in rows", rows, header)
    for name, pool in pools.items():
        if pool.unverified:
            report.console.print(f"{name}: {pool.verified}")
    report.console.print(f"To fetch a pool: dvc repro {FOLDER}/dvc.yaml:pool@NAME")


def _state(name: str) -> str:
    """Whether a pool was fetched, and how many rows came."""
    if not Path(resolve(str(FOLDER / f"{name}.parquet"))).is_file():
        return "no"
    try:
        note = json.loads(Path(resolve(str(FOLDER / f"{name}.source.json"))).read_text())
        return f"{note['rows']:,}"
    except (OSError, ValueError, KeyError):
        return "yes"


def _settings(name: str) -> Path:
    return FOLDER / f"{name}.yaml"
