"""What is noted beside a shard: what it took, and the versions that computed it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dataselect.data import files

#: The libraries whose versions may change the last bits of a feature.
LIBRARIES = ("torch", "transformers", "tokenizers")


@dataclass
class ShardTotals:
    """What a run of shards did.

    Attributes:
        rows: rows of the table.
        computed: shards that were computed.
        found: shards that were there already.
        bytes: size of all shards.
        tokens: tokens of all shards, whenever they were computed; `flops` likewise.
        earlier_seconds: seconds that the shards found took when they were computed.
    """

    rows: int = 0
    computed: int = 0
    found: int = 0
    bytes: int = 0
    tokens: int = 0
    flops: float = 0.0
    earlier_seconds: float = 0.0


@dataclass(frozen=True)
class RemoteFeaturizer:
    """A featurizer that computes in another process, with libraries of its own.

    Attributes:
        featurizer: what computes.
        versions: of those libraries, under names that say where they are.
    """

    featurizer: Callable[..., dict[str, Any]]
    versions: Mapping[str, str]

    def __call__(self, *arguments: Any) -> dict[str, Any]:
        return self.featurizer(*arguments)


def versions_of(featurizer: Callable[..., Any]) -> Mapping[str, str | None]:
    """The versions that a featurizer computes with: of `LIBRARIES`, unless it has its own."""
    is_remote = isinstance(featurizer, RemoteFeaturizer)
    return featurizer.versions if is_remote else library_versions()


def write_record(
    path: Path, tokens: int, flops: float, seconds: float, versions: Mapping[str, str | None]
) -> None:
    """Notes beside a shard what it took, and the versions that computed it.

    Not in the shard itself, whose bytes are the same whenever they are computed.
    """
    record = {"tokens": tokens, "flops": flops, "seconds": seconds}
    files.write_json(path.with_suffix(".json"), {**record, "versions": dict(versions)})


def read_record(path: Path) -> dict[str, Any]:
    """What a shard took: `seconds`, `tokens`, `flops`; and `versions` of libraries."""
    record = path.with_suffix(".json")
    empty = {"seconds": 0.0, "tokens": 0, "flops": 0.0, "versions": {}}
    return empty | (json.loads(record.read_text()) if record.exists() else {})


def library_versions() -> dict[str, str | None]:
    """The installed versions of `LIBRARIES`; None for one that is not installed."""
    versions: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions
