"""The embed stage: computes the method's features of pool and queries, as resumable shards."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dataselect.compute import Engine
from dataselect.compute.local import local
from dataselect.data import fingerprint, shards, tables
from dataselect.data.checkpoints import (
    Checkpoint,
    CheckpointChoice,
    checkpoint_numbers,
    read_checkpoints,
)
from dataselect.data.scores import finite_rows
from dataselect.data.shards import Featurizer, ShardTotals
from dataselect.data.stored_shards import WiderFolder, stored_keys
from dataselect.embed import Feature
from dataselect.errors import InputError, first_few
from dataselect.models.settings import ModelSettings
from dataselect.settings import Part, load_part


@dataclass(frozen=True)
class EmbedSection:
    """The plan's section `embed`.

    Attributes:
        features: the feature and its settings; None for a method without features.
        model: the model that measures rows, as it was before a reference fitted it; None without
            features.
        queries: whether queries are measured too.
        reference: whether the method has a reference.
        code: the hash of the code that decides the features.
        checkpoints: which of the reference's checkpoints measure rows.
    """

    features: Part | None
    model: ModelSettings | None
    queries: bool
    reference: bool
    code: str
    checkpoints: CheckpointChoice = "all"


def embed(
    section: EmbedSection, out: Path, rows: int | None = None, engine: Engine | None = None
) -> dict[str, ShardTotals]:
    """Writes the features to `out/features/<side>/`, for the sides `queries` and `pool`.

    Args:
        out: the folder with the pool, the queries, and what the reference stage left.
        rows: about how many rows lie in a shard; None: as many as suit the feature.
        engine: where the work runs; None: on this machine.

    Returns:
        What was done for each side; nothing for a method without features.

    Raises:
        InputError: the features cannot measure a query.
    """
    if section.features is None:
        return {}
    feature: Feature = load_part("embed", section.features)
    section = with_resolved_dtype(section)
    reference = out / "reference"
    checkpoints = read_checkpoints(reference) if section.reference else []
    load = partial(load_feature, section, checkpoints)
    done = {}
    key = shard_key(section, reference)
    wider = wider_folders(feature, key)
    with shards.open_writer(load, key, engine or local(), wider=wider) as write:
        for side in ("queries", "pool") if section.queries else ("pool",):
            table = out / f"{side}.parquet"
            done[side] = write(side, table, out / "features", rows or feature.rows_per_shard)
            if side == "queries":  # before the pool, which costs
                _check_queries(table, out / "features" / side)
    return done


def load_feature(section: EmbedSection, checkpoints: list[Checkpoint]) -> Featurizer:
    """Loads the section's feature with its model.

    A feature that needs no reference measures with the last of the chosen checkpoints, where there
    is one.

    Args:
        checkpoints: all that the reference has left.

    Raises:
        InputError: a checkpoint is chosen that the reference has not left.
    """
    assert section.features is not None and section.model is not None  # plan gives both or none
    feature: Feature = load_part("embed", section.features)
    model = section.model
    checkpoints = [checkpoints[number - 1] for number in _chosen(section, len(checkpoints))]
    if checkpoints and feature.needs_reference is None:
        model = replace(model, name=str(checkpoints[-1].folder), revision=None, md5=None)
    return feature.load(model, checkpoints)


def shard_key(section: EmbedSection, reference: Path) -> list[Any]:
    """What decides features besides the rows: feature, model, reference; and, last, the code.

    Of a reference: the `hash` of its files, and the numbers of the chosen `checkpoints`.

    Args:
        reference: the folder that the reference stage left.

    Raises:
        InputError: a checkpoint is chosen that the reference has not left.
    """
    section = with_resolved_dtype(section)
    assert section.features is not None and section.model is not None
    fitted = None
    if section.reference:
        numbers = _chosen(section, len(read_checkpoints(reference)))
        fitted = {"hash": fingerprint.folder_hash(str(reference)), "checkpoints": numbers}
    return [asdict(section.features), asdict(section.model), fitted, section.code]


def wider_folders(feature: Feature, key: list[Any]) -> list[WiderFolder]:
    """The stored features whose key differs in the checkpoints alone, and that hold the wanted.

    Args:
        key: as `shard_key` makes it.

    Returns:
        Those with the fewest checkpoints first; nothing for a feature without `per_checkpoint`.
    """
    features, model, fitted, code = key
    if fitted is None or not feature.per_checkpoint:
        return []
    wanted, others, found = fitted["checkpoints"], feature.other_passes, []
    for folder, stored in stored_keys():
        numbers = _stored_numbers(stored)
        same = [features, model, fitted | {"checkpoints": numbers}, code]
        if set(wanted) < set(numbers) and shards.shards_folder(same) == folder:
            columns = tuple(map(numbers.index, wanted))
            share = (len(wanted) + others) / (len(numbers) + others)
            names = feature.per_checkpoint
            found.append(WiderFolder(folder, names, len(numbers), columns, share))
    return sorted(found, key=lambda wider: wider.stored)


def _stored_numbers(key: list[Any]) -> list[int]:
    """The numbers of the checkpoints in a stored key; none in one of a version with other keys."""
    fitted = key[2] if len(key) == 4 else None
    return fitted.get("checkpoints", []) if isinstance(fitted, dict) else []


def _chosen(section: EmbedSection, count: int) -> list[int]:
    """The numbers of the section's checkpoints, of `count` that the reference has left."""
    return checkpoint_numbers(section.checkpoints, count, "methods.yaml: checkpoints")


def with_resolved_dtype(section: EmbedSection) -> EmbedSection:
    """The section with the precision that `auto` is on this machine.

    Machines with others may share a scratch folder, or be workers of one cluster.
    """
    if section.model is None:
        return section
    from dataselect.models.precision import dtype_name

    dtype: Any = dtype_name(section.model.dtype)
    return replace(section, model=replace(section.model, dtype=dtype))


def _check_queries(table: Path, features: Path) -> None:
    """Checks that every query has features.

    Raises:
        InputError: a query has NaN, infinite or only zero numbers in a vector.
    """
    arrays = shards.read_all(features)
    vectors = [name for name, array in arrays.items() if array.ndim > 1]
    usable = finite_rows(arrays, vectors)
    for name in vectors:
        usable &= arrays[name].reshape(len(usable), -1).any(axis=1)
    ids = tables.read("queries", table)["id"].to_list()
    if wrong := [name for name, good in zip(ids, usable, strict=True) if not good]:
        raise InputError(
            f"queries.path: {len(wrong)} queries have none of the tokens that this method "
            f"measures, or overflow the model: {first_few(wrong)}. Add their answers, raise the "
            "model's `max_tokens` if it truncates them, set its `dtype: float32`, or remove them."
        )
