"""Stored features of the plan's method: which folders there are, and which versions made them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from dataselect.data.shard_records import library_versions, read_record
from dataselect.data.shards import shard_paths
from dataselect.data.stored_shards import stored_keys
from dataselect.embed.run import EmbedSection


def stored_folders(key: list[Any]) -> list[Path]:
    """The folders of shards whose key equals `key` but for the hash of the code, newest first.

    Args:
        key: as `embed.run.shard_key` makes it: the code's hash is its last entry.
    """
    found = []
    for folder, (*stored, code) in stored_keys():
        if stored == key[:-1] and code != key[-1]:
            found.append(folder)
    return sorted(found, key=lambda folder: folder.stat().st_mtime, reverse=True)


def mixed_versions(section: EmbedSection) -> str | None:
    """A warning where the stored features of a section are of several versions of a library.

    The features of a run may come from several runs, and so from several versions of torch,
    transformers and tokenizers, whose last bits may differ. The installed versions count too:
    they will compute what is missing.

    Returns:
        None where all versions are the same, or nothing is stored.
    """
    versions: dict[str, set[str]] = {}
    folders = []
    for folder, key in stored_keys():
        if not _is_of(section, key):
            continue
        folders.append(folder)
        records = [read_record(shard)["versions"] for shard in shard_paths(folder)]
        for record in [*records, library_versions()] if records else ():
            for name, version in record.items():
                versions.setdefault(name, set()).add(str(version))
    mixed = [f"{name} {', '.join(sorted(v))}" for name, v in versions.items() if len(v) > 1]
    if not mixed:
        return None
    return (
        f"stored features are of several versions: {'; '.join(mixed)}. Their last bits may differ. "
        f"To compute all with the installed versions, remove {', '.join(map(str, folders))} "
        "and run `dvc repro --force --single-item embed`."
    )


def _is_of(section: EmbedSection, key: list[Any]) -> bool:
    """Whether shards with this key are the section's: its feature, model and code."""
    if len(key) != 4:  # of a version that knew other keys
        return False
    features, model, _, code = key
    wanted = _settings(asdict(section))
    return code == section.code and _settings({"features": features, "model": model}) == wanted


def _settings(section: dict[str, Any]) -> dict[str, Any]:
    """Feature and model of a section, without the precision: to know what `auto` is loads torch."""
    model = {k: v for k, v in (section["model"] or {}).items() if k != "dtype"}
    return {"features": section["features"], "model": model}
