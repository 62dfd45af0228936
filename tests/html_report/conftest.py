"""A small run with features, scores and texts that would do harm if a page took them for HTML."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from dataselect.data import tables
from tests.small_run import turns, write, write_run

HARMFUL = [
    "</script><script>document.title='harmed'</script>",
    "<img src=https://example.org/x.png onerror=\"document.title='harmed'\">",
    "'; DROP TABLE pool; --",
    "\x1b[31mred\x1b[0m \x1e\x1f\x00 ‮reversed",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} javascript:alert(1)",
    "<svg/onload=document.title='harmed'>]]>--><!--",
]
VECTORS = np.asarray([[3, 0, 0], [0, 3, 0], [2, 1, 0], [1, 2, 0], [1, 0, 1], [0, 0, 0]], np.float16)


def write_features(pool=VECTORS, queries=VECTORS[:2], name="vectors"):
    """The features of a run's rows in two shards, and of its queries."""
    for side, parts in (("pool", np.array_split(pool, 2)), ("queries", [queries])):
        for number, part in enumerate(parts):
            path = Path(f"out/features/{side}/{number:05}.safetensors")
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({name: np.ascontiguousarray(part)}, path)


def write_harmful_run():
    """The small run, with features; ids, sources, texts, queries and groups are harmful."""
    write_run()
    rows = [
        (row, f"id {text}", f"source {text}", turns(text, f"answer {text}"))
        for row, text in enumerate(HARMFUL)
    ]
    write("pool", rows)
    write("queries", [(HARMFUL[0], "q0", turns(HARMFUL[1], ""), None),
                      ("song", HARMFUL[3], turns(HARMFUL[0], ""), None)])  # fmt: skip
    write("groups", [(0, "q0", HARMFUL[0], None), (1, HARMFUL[3], "song", None)])
    write_features()


@pytest.fixture
def run_folder(in_scratch):
    """The outputs of a small run with features, in the working directory."""
    write_run()
    write_features()
    plan = {"score": {"scorer": {"name": "cosine", "settings": {"groups": "queries"}}}}
    (in_scratch / "out/plan.json").write_text(json.dumps(plan))
    return in_scratch / "out"


def no_selection():
    """A selection without rows."""
    tables.write(
        "selection", pl.DataFrame(schema=tables.schema("selection")), "out/selection.parquet"
    )
