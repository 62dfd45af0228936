"""Pools by name: the files `remote/pools/<name>.yaml`, and what was fetched of them."""

from __future__ import annotations

import json
from pathlib import Path

from dataselect import report
from dataselect.data.files import resolve
from dataselect.errors import InputError, did_you_mean
from dataselect.fetch.blocks import DataSet
from dataselect.fetch.pools import NamedPool
from dataselect.plan.params import read_yaml
from dataselect.plan.tasks import FOLDER as TASKS
from dataselect.plan.tasks import check_fetched as check_task
from dataselect.plan.tasks import task_file
from dataselect.settings import check_settings

#: Where the named pools are, and are fetched to.
FOLDER = Path("remote/pools")

#: A data set of one's own, what names it, and the command that fetches it.
OWN = Path("remote/pool.parquet")
OWN_SETTINGS = Path("remote/params.yaml")


def pool_names() -> list[str]:
    """The names of all pools, in alphabetical order."""
    return sorted(path.stem for path in Path(resolve(str(FOLDER))).glob("*.yaml")
                  if path.stem not in ("dvc", "params"))  # fmt: skip


def pool_settings(name: str) -> Path:
    """The file that describes a pool."""
    return FOLDER / f"{name}.yaml"


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
    file = pool_settings(name)
    content = read_yaml(resolve(str(file)))
    return NamedPool(**check_settings(NamedPool, content, str(file)))


def check_fetched(paths: str | list[str]) -> None:
    """Checks that pools which `pool.path` names were fetched, those of tasks too.

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
        if path.parent.parent == TASKS and path.name == "pool.parquet":
            name = path.parent.name
            check_task({name: task_file(name, "pool", "pool.path")}, "pool.path")
        if path.parent == FOLDER and path.suffix == ".parquet" and "*" not in path.name:
            load_pool(path.stem, "pool.path")
            raise InputError(
                f"pool.path: the pool `{path.stem}` was not fetched. Run "
                f"`dvc repro {FOLDER}/dvc.yaml:pool@{path.stem}`."
            )


def own_data_set() -> DataSet:
    """The data set of one's own that remote/params.yaml names.

    Raises:
        InputError: that file has a mistake.
    """
    content = read_yaml(OWN_SETTINGS)
    return DataSet(**check_settings(DataSet, content, str(OWN_SETTINGS)))


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
