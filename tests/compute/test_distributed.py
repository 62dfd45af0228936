"""Several processes train as one does: the same rows in every step, the same numbers."""

import os
import signal

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import load_file

from dataselect.compute import distributed
from dataselect.data import tables
from dataselect.errors import InputError
from dataselect.reference.warmup import warmup
from tests.helpers import MODEL

pytestmark = pytest.mark.slow


def turns(number):
    text = f"word{number % 3} " * (1 + number % 5)  # lengths that differ: a row counts by tokens
    return [{"role": "user", "content": "Say it."}, {"role": "assistant", "content": text}]


def close(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-3, atol=2e-5, err_msg=name)


# Training itself: train/test_run.py. 13 rows: an epoch ends in a step of one, of which a second
# process has no row.
@pytest.mark.torture
def test_a_reference_is_fitted_by_two_processes_as_by_one(in_scratch):
    table = in_scratch / "pool.parquet"
    rows = [(i, f"id{i}", "source", turns(i)) for i in range(13)]
    frame = pl.DataFrame(rows, schema=tables.schema("pool"), orient="row")
    tables.write("pool", frame, table)
    small = {"lora_rank": 2, "lora_alpha": 4, "lora_dropout": 0.0, "share": 0.99, "epochs": 2}
    recipe = {"learning_rate": 1e-3, "batch_size": 4}
    fitted = []
    for processes in (1, 2):
        home = in_scratch / str(processes)
        home.mkdir()
        reference = warmup(seed=0, processes=processes, **small, **recipe)
        fitted.append(reference.fit(MODEL, table, home))
    assert fitted[0][1:] == fitted[1][1:]
    for first, second in zip(fitted[0].checkpoints, fitted[1].checkpoints, strict=True):
        assert first.mean_learning_rate == pytest.approx(second.mean_learning_rate)
        for name in ("adapter_model.safetensors", "adam.safetensors"):
            close(load_file(first.folder / name), load_file(second.folder / name))


@pytest.mark.parametrize(
    ("requested", "parts", "expected"), [(1, 8, 1), (2, 8, 2), (3, 8, 2), (8, 6, 6), (5, 7, 1)]
)
def test_as_many_processes_as_divide_a_step(requested, parts, expected):
    assert distributed.usable_processes(requested, parts) == expected


def much():
    return "x" * 2**20


@pytest.mark.slow
def test_a_result_may_be_larger_than_a_pipe():
    assert distributed.launch(2, much) == much()


def refuse():
    if distributed.is_main_process():
        raise InputError("not like this")


def run_out():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def vanish():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("work", "error", "message"), [
    (refuse, InputError, "not like this"),
    (vanish, InputError, "continues from the last checkpoint"),
    pytest.param(run_out, MemoryError, "Tried to allocate", marks=pytest.mark.torture),
])  # fmt: skip
def test_a_mistake_in_a_process_and_a_killed_process_are_one_message(work, error, message):
    with pytest.raises(error, match=message):
        distributed.launch(2, work)
