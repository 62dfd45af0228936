"""Memory that runs out: batches shrink, the work goes on, and the answer is the same."""

import subprocess
import sys

import polars as pl
import pytest
import torch

from dataselect.data import shards, tables
from dataselect.errors import InputError
from dataselect.models.batches import Batches
from tests.helpers import GOLDEN, ROOT


def refusing(above, lengths, error):
    """Work that fails on batches of more padded tokens than so many; what went well."""
    done = []

    def work(batch):
        if len(batch) * max(lengths[row] for row in batch) > above:
            raise error
        done.append(batch)

    return work, done


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
], ids=["gpu", "processor", "python"])  # fmt: skip
def test_batches_are_halved_until_they_fit_and_every_row_is_done_once(error, capsys):
    lengths = [7, 100, 3, 50, 50, 50, 12, 12, 90, 1]
    batches = Batches(400)
    work, done = refusing(120, lengths, error)
    batches.run(lengths, work)
    assert sorted(row for batch in done for row in batch) == list(range(10))
    assert batches.max_padded_tokens <= 120
    assert "out of memory: on with batches of at most" in capsys.readouterr().out
    work, done = refusing(120, lengths, error)
    batches.run(lengths, work)  # what it shrank to stays
    assert capsys.readouterr().out == ""


def test_a_row_that_does_not_fit_is_one_message():
    work, done = refusing(60, [100, 5], MemoryError())
    with pytest.raises(InputError, match="out of memory on a single row of 100 tokens"):
        Batches(1_000).run([100, 5], work)
    assert done == []


def test_another_error_is_not_taken_for_it():
    work, _ = refusing(1, [5], RuntimeError("CUDA error: an illegal memory access"))
    with pytest.raises(RuntimeError, match="illegal"):
        Batches(10).run([5], work)


def test_a_model_that_does_not_fit_is_one_message(in_scratch):
    def load():
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    frame = pl.read_parquet(GOLDEN / "pool.parquet").head(3).drop("row", strict=False)
    numbered = frame.with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", numbered, in_scratch / "pool.parquet")
    with pytest.raises(InputError, match="out of memory before the first row"):
        shards.write("pool", in_scratch / "pool.parquet", in_scratch / "out", load, ["k"])


#: Embeds in one batch that is larger than the limit lets it be.
REAL = """
import sys, polars as pl, numpy as np, torch
from dataselect import batches
from dataselect.engines.local import local
from dataselect.features.hidden_states import hidden_states
from tests.helpers import GOLDEN, MODEL

torch.set_num_threads(1)
rows = pl.read_parquet(GOLDEN / "pool.parquet")["messages"].to_list()[:200] * 4
model = {**MODEL, "max_tokens": 512}
small = hidden_states(model)(rows, "pool", lambda *_: None)["vectors"]  # and what torch once needs
held = int(next(l for l in open("/proc/self/status") if l.startswith("VmData")).split()[1]) // 1000
made = batches.Batches.__init__
batches.Batches.__init__ = lambda self, most: made(self, 10**9)

def start():
    compute = hidden_states(model)
    return lambda job, advance: Result(compute(job, "pool", advance)["vectors"])

class Result:
    rows = 0
    def __init__(self, vectors): self.vectors = vectors

with local(start, memory=f"{held + 300} MB") as run:
    (result,) = run([rows], lambda *_: None)
print("alike", float(np.abs(result.vectors - small).max()) < 1e-5)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_a_real_limit_is_met_and_kept():
    command = [sys.executable, "-c", REAL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "out of memory: on with batches of at most" in done.stdout
    assert "alike True" in done.stdout
