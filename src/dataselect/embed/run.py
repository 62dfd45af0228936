"""The method's features of pool and queries: which there are to be, and what decides them."""

from __future__ import annotations

from functools import partial
from inspect import getsourcefile, signature
from pathlib import Path
from typing import Any

from dataselect.compute.local import local
from dataselect.data import fingerprint, shards, tables
from dataselect.data.checkpoints import read_checkpoints
from dataselect.data.scores import finite_rows
from dataselect.data.shards import Featurizer
from dataselect.errors import InputError, first_few
from dataselect.settings import part_function, part_module


def embed(
    section: dict[str, Any], out: Path, rows: int | None = None, engine: Any = local
) -> dict[str, shards.ShardTotals]:
    """Writes what the plan's `embed` section asks for to `out/features/<side>/`.

    Args:
        out: the folder with the pool, the queries, and what the reference stage left.
        rows: rows a shard, about; None: as many as suit the feature.
        engine: where the work runs: see `engines`.

    Returns:
        What was done for each side, `queries` and `pool`; nothing for a method without features.

    Raises:
        InputError: the features say nothing of a query.
    """
    feature = section["features"]
    if feature is None:
        return {}
    section = _settled(section)
    rows = rows or getattr(
        part_module("embed", feature["name"], "plan.json"), "ROWS", shards.ROWS_PER_SHARD
    )
    sides = ("queries", "pool") if section["queries"] else ("pool",)
    loads = partial(load, section, out / "reference")
    done = {}
    with shards.open_writer(loads, _key(section, out / "reference"), engine) as write:
        for side in sides:
            table = out / f"{side}.parquet"
            done[side] = write(side, table, out / "features", rows)
            if side == "queries":  # before the pool, which costs
                _check_queries(table, out / "features" / side)
    return done


def _settled(section: dict[str, Any]) -> dict[str, Any]:
    """The section with the precision that `auto` is here.

    It is another on another machine: both may share a scratch folder, or a cluster.
    """
    if "model" not in section:
        return section
    from dataselect.models.load import torch_dtype

    dtype = str(torch_dtype(section["model"]["dtype"])).removeprefix("torch.")
    return {**section, "model": {**section["model"], "dtype": dtype}}


def load(section: dict[str, Any], reference: Path) -> Featurizer:
    """Loads what the section's feature looks with."""
    feature = section["features"]
    of = part_function("embed", feature["name"], "plan.json")
    looks_with = _looks_with(section, reference)
    taken = {k: v for k, v in looks_with.items() if k in signature(of).parameters}
    return of(**taken, **feature["settings"])


def _check_queries(table: Path, features: Path) -> None:
    """Refuses a query that the features say nothing of.

    Raises:
        InputError: naming those with NaN, infinite or only zero numbers in a vector.
    """
    arrays = shards.read_all(features)
    vectors = [name for name, array in arrays.items() if array.ndim > 1]
    usable = finite_rows(arrays, vectors)
    for name in vectors:
        usable &= arrays[name].reshape(len(usable), -1).any(axis=1)
    ids = tables.read("queries", table)["id"].to_list()
    if wrong := [name for name, good in zip(ids, usable, strict=True) if not good]:
        raise InputError(
            f"queries.path: {len(wrong)} queries have none of the tokens that this method looks "
            f"at, or overflow the model: {first_few(wrong)}. Give them an answer, raise the model's "
            "`max_tokens` if it cuts them, set its `dtype: float32`, or leave them out."
        )


def _looks_with(section: dict[str, Any], reference: Path) -> dict[str, Any]:
    """The model that looks, and the checkpoints that the reference stage fitted, if any.

    A feature that takes no checkpoints looks with the last of them as its model.
    """
    answer = {"model": section.get("model"), "checkpoints": read_checkpoints(reference)}
    of = part_function("embed", section["features"]["name"], "plan.json")
    if answer["checkpoints"] and "checkpoints" not in signature(of).parameters:
        last = str(answer["checkpoints"][-1].folder)
        answer["model"] = {**section["model"], "name": last, "revision": None}
    return answer


def _key(section: dict[str, Any], reference: Path) -> list[Any]:
    """What features depend on besides the rows: settings, model, precision and code."""
    feature = section["features"]
    file = getsourcefile(part_function("embed", feature["name"], "plan.json"))
    key = [feature, section.get("model"), fingerprint.code_hash(Path(str(file)))]
    return [*key, fingerprint.folder_hash(str(reference)) if section["reference"] else None]
