"""A limit on memory that is real: batches shrink, the work goes on, and the result is the same."""

import subprocess
import sys

import polars as pl
import pytest
import torch

from dataselect.compute.memory import _visible, is_out_of_memory
from dataselect.data import shards, tables
from dataselect.errors import InputError
from tests.helpers import GOLDEN, ROOT


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("could not create a primitive"),
    MemoryError(),
    OSError(12, "Cannot allocate memory"),
], ids=["gpu", "processor", "onednn", "python", "system"])  # fmt: skip
def test_errors_of_too_little_memory_are_known(error):
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access"))
    unsupported = "could not create a primitive descriptor for the matmul primitive"
    assert not is_out_of_memory(RuntimeError(unsupported))


#: Rows of 120 lengths, one after the other, in bfloat16: what the process's memory grows by.
LENGTHS = """
import dataselect, resource, torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained({model!r}, dtype=torch.bfloat16)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
for length in range(8, 128):
    model(torch.ones(1, length, dtype=torch.long)).logits.float().sum().backward()
    if length == 37:
        early = peak()
print(peak() - early)
"""


@pytest.mark.torture
@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="oneDNN compiles nothing")
def test_memory_does_not_grow_with_the_shapes_of_bfloat16_batches():
    command = [sys.executable, "-c", LENGTHS.format(model=str(GOLDEN / "tiny-llama"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100  # MB; some 700 with oneDNN's own limits


@pytest.mark.parametrize(("visible", "order", "sizes", "expected"), [
    (None, None, [80, 24], [80, 24]),
    ("1", "PCI_BUS_ID", [80, 24], [24]),
    ("1", None, [80, 24], None),
    ("1", None, [80, 80], [80]),
    ("-1", None, [80, 80], []),
    ("0,-1,1", None, [80, 80], [80]),
    ("", None, [80, 80], []),
    ("GPU-8932f937", None, [80, 80], None),
])  # fmt: skip
def test_gpus_are_those_that_cuda_sees(monkeypatch, visible, order, sizes, expected):
    for name, value in (("CUDA_VISIBLE_DEVICES", visible), ("CUDA_DEVICE_ORDER", order)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert _visible(sizes) == expected


#: What a limit on memory counts after Arrow has read a file, in MB.
COUNTED = """
import dataselect, re, pyarrow.parquet
pyarrow.parquet.read_table({file!r})
print(re.search(r"VmData:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
def test_arrow_takes_no_memory_before_it_needs_it():
    command = [sys.executable, "-c", COUNTED.format(file=str(GOLDEN / "pool.parquet"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 < 700  # 1 GiB more if Arrow's allocator takes its first arena


def test_a_model_that_does_not_fit_is_one_message(in_scratch):
    def load():
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    frame = pl.read_parquet(GOLDEN / "pool.parquet").head(3).drop("row", strict=False)
    numbered = frame.with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", numbered, in_scratch / "pool.parquet")
    with pytest.raises(InputError, match="out of memory before the first row"):
        shards.write("pool", in_scratch / "pool.parquet", in_scratch / "out", load, ["k"])


#: Embeds in one batch that is larger than the limit permits.
EMBED = """
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import torch

from dataselect.compute.local import local
from dataselect.embed.hidden_states import hidden_states
from dataselect.models import batches
from tests.helpers import GOLDEN, MODEL

torch.set_num_threads(1)
rows = pl.read_parquet(GOLDEN / "pool.parquet")["messages"].to_list()[:200] * 4
load = lambda: hidden_states().load(replace(MODEL, max_tokens=512), [])
expected = load()(rows, "pool", lambda *_: None)["vectors"]  # and what torch allocates once
held = int(next(l for l in open("/proc/self/status") if l.startswith("VmData")).split()[1]) // 1000
init = batches.Batches.__init__
batches.Batches.__init__ = lambda self, limit, **options: init(self, 10**9, **options)

class Result:
    rows = 0
    def __init__(self, vectors): self.vectors = vectors

def start():
    featurizer = load()
    return lambda job, progress: Result(featurizer(job, "pool", progress)["vectors"])

with local(memory=f"{held + 300} MB").open(start) as run:
    (result,) = run([rows], lambda *_: None)
print("alike", float(np.abs(result.vectors - expected).max()) < 1e-5)
"""


@pytest.mark.torture
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_batches_shrink_under_a_real_limit():
    command = [sys.executable, "-c", EMBED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "out of memory" in done.stdout
    assert "alike True" in done.stdout
