"""Several processes train as one does: the same rows in every step, the same numbers."""

import json
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
from dataselect.train.run import train

RECIPE = {"epochs": 2, "learning_rate": 1e-3, "batch_size": 4, "threads": 1}


def turns(number):
    said = f"word{number % 3} " * (1 + number % 5)  # lengths that differ: a row counts by tokens
    return [{"role": "user", "content": "Say it."}, {"role": "assistant", "content": said}]


def losses(folder):
    lines = (folder / "plots/metrics/loss.tsv").read_text().splitlines()[1:]
    return [float(line.split("\t")[-1]) for line in lines]


def close(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-3, atol=2e-5, err_msg=name)


# 13 rows: an epoch ends in a step of one, of which a second process has no row.
def test_two_processes_train_to_the_weights_of_one(in_scratch, model_section):
    path = in_scratch / "train.jsonl"
    path.write_text("".join(json.dumps({"messages": turns(i)}) + "\n" for i in range(13)))
    found = {}
    for processes in (1, 2):
        out, curve = in_scratch / f"model{processes}", in_scratch / f"curve{processes}"
        done = train(model_section, path, out, curve, **RECIPE, processes=processes)
        found[processes] = done, losses(curve), load_file(out / "model.safetensors")
    (one, curve, weights), (two, other_curve, other_weights) = found.values()
    assert (one.steps, one.rows, one.tokens) == (two.steps, two.rows, two.tokens)
    assert other_curve == pytest.approx(curve, rel=1e-3)
    close(weights, other_weights)


def test_a_reference_is_fitted_by_two_processes_as_by_one(in_scratch, model_section):
    table = in_scratch / "pool.parquet"
    rows = [(i, f"id{i}", "source", turns(i)) for i in range(13)]
    frame = pl.DataFrame(rows, schema=tables.SCHEMAS["pool"], orient="row")
    tables.write("pool", frame, table)
    small = {"lora_rank": 2, "lora_alpha": 4, "lora_dropout": 0.0, "share": 0.99, "epochs": 2}
    recipe = {"learning_rate": 1e-3, "batch_size": 4}
    found = []
    for processes in (1, 2):
        home = in_scratch / str(processes)
        home.mkdir()
        found.append(
            warmup(model_section, table, home, seed=0, processes=processes, **small, **recipe)
        )
    one, two = found
    assert one[1:] == two[1:]
    for mine, others in zip(one.checkpoints, two.checkpoints, strict=True):
        assert mine.mean_learning_rate == pytest.approx(others.mean_learning_rate)
        for name in ("adapter_model.safetensors", "adam.safetensors"):
            close(load_file(mine.folder / name), load_file(others.folder / name))


@pytest.mark.parametrize(
    ("asked", "parts", "expected"), [(1, 8, 1), (2, 8, 2), (3, 8, 2), (8, 6, 6), (5, 7, 1)]
)
def test_as_many_processes_as_divide_a_step(asked, parts, expected):
    assert distributed.usable_processes(asked, parts) == expected


def refuse(what):
    if distributed.is_main_process():
        raise InputError(what)


def run_out():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def vanish():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_mistake_in_a_process_is_told_and_a_killed_one_too():
    with pytest.raises(InputError, match="not like this"):
        distributed.launch(2, refuse, "not like this")
    with pytest.raises(MemoryError, match="Tried to allocate"):
        distributed.launch(2, run_out)
    with pytest.raises(InputError, match="goes on from the last checkpoint"):
        distributed.launch(2, vanish)
