"""Runs text-dedup or semhash in its own environment; `near_duplicates.py` starts it.

    python benchmarks/other_near_duplicates.py TOOL TEXTS OUT SIMILARITY

TEXTS is a file of JSON lines with `text`; OUT gets JSON: seconds, memory, version, and the groups
as numbers of lines.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measuring import peak_mb, timed


def main() -> None:
    """Runs the tool, and writes what it found."""
    tool, texts, out, similarity = sys.argv[1:]
    run: dict[str, Any] = {"version": version(tool)}
    function = {"text-dedup": text_dedup, "semhash": semhash}[tool]
    run["groups"] = function(Path(texts), float(similarity), run)
    run["peak_mb"] = peak_mb()
    Path(out).write_text(json.dumps(run))


def text_dedup(texts: Path, similarity: float, run: dict[str, Any]) -> list[list[int]]:
    """MinHash with text-dedup's defaults, but for the similarity. Memory: of its main process."""
    from text_dedup import minhash  # ty: ignore[import-not-found]

    arguments = ["--path", "json", "--data_files", str(texts), "--split", "train"]
    arguments += ["--column", "text", "--threshold", str(similarity)]
    arguments += ["--output", str(texts.with_name("text-dedup-out"))]
    arguments += ["--cache_dir", str(texts.with_name("cache"))]
    with timed(run):
        minhash.main(arguments, standalone_mode=False)
    groups: dict[int, list[int]] = {}
    for row in list(minhash.uf.parent):
        groups.setdefault(minhash.uf.find(row), []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def semhash(texts: Path, similarity: float, run: dict[str, Any]) -> list[list[int]]:
    """semhash with random word vectors, as its own come from a hub; at its default threshold."""
    import numpy as np
    from semhash import SemHash  # ty: ignore[import-not-found]

    class WordVectors:
        """Sums of a random vector for every word."""

        def __init__(self) -> None:
            self._vectors = np.random.default_rng(0).standard_normal((2**16, 256), dtype=np.float32)

        def encode(self, inputs: list[str], **_: Any) -> Any:
            """The vectors of texts."""
            encoded = np.empty((len(inputs), 256), dtype=np.float32)
            for number, text in enumerate(inputs):
                hashes = [zlib.crc32(word.encode()) % 2**16 for word in text.lower().split()]
                encoded[number] = self._vectors[np.array(hashes, dtype=np.int64)].sum(axis=0)
            return encoded

    with texts.open() as file:
        records = [json.loads(line)["text"] for line in file]
    run["encoder"] = "random word vectors"
    with timed(run):
        index = SemHash.from_records(records=records, model=WordVectors())
        result = index.self_deduplicate()
    number = {hashlib.md5(text.encode()).digest(): row for row, text in enumerate(records)}

    def row_of(text: str) -> int:
        return number[hashlib.md5(text.encode()).digest()]

    groups: dict[int, list[int]] = {}
    for removed in result.filtered:
        first = row_of(removed.duplicate_of)
        groups.setdefault(first, [first]).append(row_of(removed.record))
    return list(groups.values())


if __name__ == "__main__":
    main()
