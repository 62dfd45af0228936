"""The cases of growth.py: what they run on, and the work of each, in a process of its own."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import timed
from safetensors.numpy import save_file

import dedup as dedup_rows
from dataselect.aggregate.run import AggregateSection
from dataselect.data import tables
from dataselect.data.checkpoints import REFERENCE_FILE, write_checkpoints
from dataselect.data.shards import ROWS_PER_SHARD
from dataselect.embed.run import EmbedSection
from dataselect.errors import InputError
from dataselect.models.settings import ModelSettings
from dataselect.reference.warmup import warmup
from dataselect.score.run import ScoreSection
from dataselect.settings import Part
from score import write_queries

ROOT = Path(__file__).parent.parent
MODEL = ModelSettings(name=str(ROOT / "tests/golden/tiny-llama"), max_tokens=64)
DIMENSIONS, CHECKPOINTS, GROUPS = 256, 12, 7
FEATURES = {
    "embed": Part("hidden_states", {"pooling": "weighted_mean", "over": "all", "unit": True}),
    "losses": Part("losses", {"direct": False}),
    "gradients": Part("gradients", {
        "dims": 1_024, "projection": "srht", "projection_seed": 0,
        "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8,
    }),
}  # fmt: skip
SCORERS = {
    "score": Part("cosine", {"groups": "tasks"}),
    "perplexity": Part("perplexity", {"of": "response", "best": "median"}),
    "clusters": Part("clusters", {"seed": 0, "count": 100}),
    "coverage": Part("coverage", {"budget": "5%"}),
}


def dedup(home: str, limit: int) -> dict[str, Any]:
    """The dedup stage's work but for counting tokens, from a raw file."""
    with limited(limit) as run:
        run["rows"] = dedup_rows.stage(f"{home}/raw.parquet", home)["kept"]
    return run


def tokens(home: str, limit: int) -> dict[str, Any]:
    """The tokens of every row, as a reference or training reads them, in files."""
    from dataselect.models.chat import load_chat
    from dataselect.train.rows import encode_rows

    pool = Path(home) / "pool.parquet"
    rows = np.random.default_rng(0).permutation(tables.row_count(pool))
    chat = load_chat(replace(MODEL, max_tokens=2_048))
    with limited(limit) as run:
        encoded = encode_rows(pool, chat, rows, Path(home) / "tokens")
        run["tokens"] = sum(len(row.ids) for row in encoded)  # as an epoch reads them
    return {"rows": len(rows), **run}


def embed(home: str, limit: int, name: str) -> dict[str, Any]:
    """The embed stage's work on real rows, of which the model reads the first 64 tokens."""
    from dataselect.data.checkpoints import read_checkpoints
    from dataselect.embed.run import embed as work
    from dataselect.embed.run import load_feature

    fitted = name == "gradients"
    section = EmbedSection(
        features=FEATURES[name], model=MODEL, queries=False, reference=fitted, code=""
    )
    os.chdir(home)  # and so a scratch folder of its own
    checkpoints = read_checkpoints(Path(home) / "reference") if fitted else []
    load_feature(section, checkpoints)  # how long this takes depends on whether files are cached
    with limited(limit) as run:
        run["rows"] = work(section, Path(home))["pool"].rows
    return run


def score(home: str, limit: int, name: str) -> dict[str, Any]:
    """The score stage's work."""
    from dataselect.score.run import score as work

    folder = Path(home)
    section = ScoreSection(scorer=SCORERS[name], code="")
    with limited(limit) as run:
        run["rows"] = work(section, folder, folder / "features").rows
    return run


def aggregate(home: str, limit: int, share: float) -> dict[str, Any]:
    """The aggregate stage's work, the training file included."""
    from dataselect.aggregate.run import select

    folder = Path(home)
    rows = tables.row_count(folder / "pool.parquet")
    budget = int(rows * share)
    tables.write("dropped", tables.empty("dropped"), folder / "dropped.parquet")
    section = AggregateSection(aggregator=Part("round_robin", {}), budget=budget, code="")
    with limited(limit) as run:
        select(section, folder)
    return {"rows": rows, "chosen": budget, **run}


@contextmanager
def limited(megabytes: int) -> Generator[dict[str, Any]]:
    """Yields the figures of a block, which may write to `megabytes` of memory of its own.

    The limit is the system's (RLIMIT_DATA), the one that `engine.local.memory` sets. What memory
    that runs out says is noted as `failed`; what the block has noted stays.
    """
    figures: dict[str, Any] = {}
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes * 10**6, before[1]))
    try:
        with timed(figures):
            yield figures
    except (InputError, MemoryError) as error:
        figures["failed"] = f"{type(error).__name__}: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def write_made_up(home: Path, rows: int) -> None:
    """A raw pool, for dedup."""
    dedup_rows.make(home / "raw.parquet", rows)


def write_scores(home: Path) -> None:
    """Scores of the pool for some groups."""
    names = [(number, f"t{number}", f"t{number}", None) for number in range(GROUPS)]
    groups = pl.DataFrame(names, schema=tables.schema("groups"), orient="row")
    tables.write("groups", groups, home / "groups.parquet")
    rng = np.random.default_rng(0)
    with tables.open_writer("scores", home / "scores.parquet") as put:
        for block in tables.iter_batches("pool", home / "pool.parquet", columns=["row", "id"]):
            numbers = rng.standard_normal((block.height, GROUPS), dtype=np.float32)
            score = pl.Series("score", numbers, dtype=pl.Array(pl.Float32, GROUPS))
            put(block.with_columns(score, group=pl.lit(None, pl.Int64)))


def write_features(home: Path, name: str) -> None:
    """Made-up features of the pool's rows in shards, as a scorer reads them; queries of vectors."""
    rng = np.random.default_rng(0)
    shape = {"vectors": (DIMENSIONS,), "nll": (CHECKPOINTS,), "response_nll": ()}[name]
    kind = np.float16 if name == "vectors" else np.float32
    folder = home / "features/pool"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    total = tables.row_count(home / "pool.parquet")
    for number, first in enumerate(range(0, total, ROWS_PER_SHARD)):
        count = min(ROWS_PER_SHARD, total - first)
        block = rng.standard_normal((count, *shape), dtype=np.float32).astype(kind)
        save_file({name: block}, folder / f"{number:05d}.safetensors")
    if name == "vectors":
        write_queries(home, DIMENSIONS)


def write_real_rows(home: Path, rows: int, *, fitted: bool = False) -> None:
    """A pool of real rows, and a reference of LoRA adapters if one is asked for."""
    real = pl.read_parquet(ROOT.parent / "shared/data/pool.parquet").head(rows)
    numbered = real.with_row_index("row").cast({"row": pl.Int64})
    table = numbered.select(list(tables.schema("pool")))
    tables.write("pool", table, home / "pool.parquet")
    write_checkpoints(home / "reference" / REFERENCE_FILE, [])
    if fitted:
        tables.write("pool", table.head(64), home / "few.parquet")
        reference = warmup(seed=0, share=1.0, epochs=1, lora_rank=8)
        done = reference.fit(MODEL, home / "few.parquet", home / "fit")
        shutil.copytree(home / "fit/checkpoints", home / "reference", dirs_exist_ok=True)
        write_checkpoints(home / "reference" / REFERENCE_FILE, done.checkpoints)
