"""Training in shards: as in one process, and resumed after a kill, over two gloo processes."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from dataselect.compute import distributed
from dataselect.train.fit import Recipe, fit
from dataselect.train.nets import check_types, load_trainable
from dataselect.train.run import TrainSection, train
from dataselect.train.sharding import check_processes, check_sharded
from tests.helpers import MODEL, mistake

FAST = Recipe(epochs=2, learning_rate=1e-3, batch_size=4, threads=1, processes=2, sharding="full")
LORA = {"method": "lora", "lora_rank": 4, "lora_dropout": 0.0}


@pytest.fixture
def file(in_scratch):
    """13 rows of lengths that differ: a second process has no row of an epoch's last step."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": "Say it."},
                {"role": "assistant", "content": f"word{i % 3} " * (1 + i % 5)},
            ]
        }
        for i in range(13)
    ]
    path = in_scratch / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(path, name, model=MODEL, **settings):
    """Trains on a file; returns what was done, and the weights."""
    out = path.parent / name
    section = TrainSection(model, replace(FAST, **settings), "code")
    done = train(section, path, out, path.parent / f"{name}-curve")
    return done, load_file(out / "model.safetensors")


ALONE = {"processes": 1, "sharding": "none"}


def close(first, second, rtol=1e-3, atol=2e-5):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol, atol, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gradient_checkpointing": True},
        {"weights": "bfloat16", "optimizer": "adamw_float32"},
        LORA,
    ],
    ids=["full", "checkpointing", "bfloat16", "lora"],
)
def test_shards_train_to_the_weights_of_one_process(file, settings):
    alone, weights = run(file, "alone", **ALONE, **settings)
    sharded, other = run(file, "sharded", **settings)
    assert alone[:6] == sharded[:6] and alone[7:] == sharded[7:]
    assert sharded.loss_nats == pytest.approx(alone.loss_nats, rel=1e-3)
    close(weights, other)
    names = [{path.name for path in (file.parent / out).iterdir()} for out in ("alone", "sharded")]
    assert names[0] == names[1]
    configs = [(file.parent / out / "config.json").read_text() for out in ("alone", "sharded")]
    assert configs[0] == configs[1]
