"""What is noted beside a shard: its checksum, what it took, and the versions that computed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dataselect.data.checksums import Sum, file_sum, read_checked, read_unchecked, write_checked

#: The libraries whose versions may change the last bits of a feature.
LIBRARIES = ("torch", "transformers", "tokenizers")

#: What a record holds, where nothing is known; and the key of the shard's length and checksum.
EMPTY: Mapping[str, Any] = {"seconds": 0.0, "tokens": 0, "flops": 0.0, "versions": {}}
SUM = "length_and_crc32"


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


def write_record(path: Path, record: Mapping[str, Any], written: Path) -> None:
    """Notes beside a shard what it took; its length and checksum. To be done before it is there.

    Not in the shard itself, whose bytes are the same whenever they are computed.

    Args:
        record: what `read_record` returns.
        written: the shard, under the name that it has before it is renamed.
    """
    write_checked(path.with_suffix(".json"), {**record, SUM: file_sum(written)})


def read_record(path: Path) -> dict[str, Any]:
    """What a shard took: `seconds`, `tokens`, `flops`; and `versions` of libraries."""
    record = _record(path) or {}
    return {name: record.get(name, empty) for name, empty in EMPTY.items()}


def is_whole(path: Path) -> bool:
    """Whether a shard is there, and as it was written. One without a checksum is not."""
    try:
        found: Sum = file_sum(path)
    except FileNotFoundError:
        return False
    return (_record(path) or {}).get(SUM) == found


def is_changed(path: Path) -> bool:
    """Whether a shard has a checksum, and is not as it was written."""
    known = (_record(path) or {}).get(SUM)
    return known is not None and known != file_sum(path)


def _record(path: Path) -> dict[str, Any] | None:
    """The record of a shard: checked, or of an earlier version, whose records have no checksum."""
    file = path.with_suffix(".json")
    return read_checked(file, quietly=True) or read_unchecked(file)


def library_versions() -> dict[str, str | None]:
    """The installed versions of `LIBRARIES`; None for one that is not installed."""
    versions: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions
