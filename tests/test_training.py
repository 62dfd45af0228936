"""Training repeats to the bit, goes on after a kill, and learns from responses only."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from dataselect.errors import InputError
from dataselect.train.run import train

FAST = {"epochs": 2, "learning_rate": 1e-2, "batch_size": 4, "threads": 1}


def rows(count=12, prompt="Say it."):
    said = [f"word{i % 3} again" for i in range(count)]
    return [
        {
            "id": str(i),
            "source": "s",
            "messages": [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": text},
            ],
        }
        for i, text in enumerate(said)
    ]


@pytest.fixture
def file(in_scratch):
    def write(some, name="train.jsonl"):
        path = in_scratch / name
        path.write_text("".join(json.dumps(row) + "\n" for row in some))
        return path

    return write


def run(model, path, name, **settings):
    out = path.parent / name
    done = train(model, path, out, path.parent / f"{name}-curve", **{**FAST, **settings})
    return done, load_file(out / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_same_seed_same_weights_and_another_seed_others(file, model_section):
    path = file(rows())
    done, one = run(model_section, path, "one")
    _, two = run(model_section, path, "two")
    _, other = run(model_section, path, "other", seed=1)
    assert same(one, two)
    assert not same(one, other)
    assert (done.rows, done.dropped, done.steps) == (12, 0, 6)
    curve = (path.parent / "one-curve/plots/metrics/loss.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in curve] == ["step", "1", "2", "3", "4", "5", "6"]


def test_a_run_of_one_step_learns_too(file, model_section):
    before = load_file(f"{model_section['name']}/model.safetensors")
    done, after = run(model_section, file(rows(4)), "model", epochs=1)
    assert done.steps == 1
    assert not same(before, after)


def test_training_lowers_the_loss_of_the_responses(file, model_section):
    path = file(rows(24))
    run(model_section, path, "model", epochs=6)
    curve = (path.parent / "model-curve/plots/metrics/loss.tsv").read_text().splitlines()[1:]
    losses = [float(line.split("\t")[-1]) for line in curve]
    assert np.mean(losses[-3:]) < 0.5 * np.mean(losses[:3])


def test_the_first_loss_is_that_of_the_responses_only(file, model_section):
    from dataselect.models.chat import Chat
    from dataselect.models.load import load_causal, load_tokenizer
    from dataselect.models.nll import token_losses

    some = rows(4)
    _, _ = run(model_section, file(some), "model", epochs=1)
    first = (file(some).parent / "model-curve/plots/metrics/loss.tsv").read_text().splitlines()[1]
    chat = Chat(load_tokenizer(model_section), "tulu", 2048)
    encoded = chat.encode([row["messages"] for row in some])
    nll = token_losses(load_causal(model_section), encoded).response
    tokens = [int(row.response.sum()) for row in encoded]
    assert float(first.split("\t")[-1]) == pytest.approx(np.average(nll, weights=tokens), rel=1e-3)


def test_rows_whose_response_is_cut_off_are_dropped_and_counted(file, model_section):
    long = rows(2, prompt="word " * 200)
    done, _ = run({**model_section, "max_tokens": 64}, file(rows(6) + long), "model")
    assert (done.rows, done.dropped) == (6, 2)
    with pytest.raises(InputError, match="none of the 2 rows has a response token"):
        run({**model_section, "max_tokens": 64}, file(long), "none")
    assert not (file(long).parent / "none").exists()


def test_a_batch_must_hold_whole_micro_batches(file, model_section):
    with pytest.raises(InputError, match=r"expected a multiple of train\.micro_batch_size"):
        run(model_section, file(rows()), "model", batch_size=4, micro_batch_size=3)


def test_lora_is_merged_into_a_model_that_loads_alone(file, model_section):
    path = file(rows())
    base = load_file(f"{model_section['name']}/model.safetensors")
    _, merged = run(model_section, path, "lora", method="lora", lora_rank=4, lora_alpha=8)
    assert merged.keys() == base.keys()
    changed = {k for k in base if not np.array_equal(base[k], merged[k])}
    assert changed
    assert all("proj" in name for name in changed)


def test_losses_may_be_averaged_per_micro_batch(file, model_section):
    uneven = rows(8)
    uneven[0]["messages"][1]["content"] = "a much longer answer " * 10
    path = file(uneven)
    _, by_token = run(model_section, path, "token")
    _, by_batch = run(model_section, path, "batch", loss_per="micro_batch")
    assert not same(by_token, by_batch)


def test_micro_batches_shrink_where_memory_runs_out(file, model_section, monkeypatch, capsys):
    path = file(rows(13))
    settings = {"batch_size": 6, "micro_batch_size": 6, "save_steps": 2}
    _, small = run(model_section, path, "small", **settings | {"micro_batch_size": 1})
    whole = transformers.Trainer.training_step

    def limited(self, net, inputs, *more):
        ran_out = self.state.global_step > 2 and len(inputs["input_ids"]) > 1
        if ran_out or len(inputs["input_ids"]) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return whole(self, net, inputs, *more)

    monkeypatch.setattr(transformers.Trainer, "training_step", limited)
    done, shrunk = run(model_section, path, "shrunk", **settings)
    said = [line for line in capsys.readouterr().out.splitlines() if "memory" in line]
    assert said == [f"out of memory: on with micro-batches of {size}" for size in (3, 1)]
    assert done.steps == 6
    for name, weights in small.items():
        np.testing.assert_allclose(weights, shrunk[name], rtol=1e-2, atol=1e-4, err_msg=name)
    curve = (path.parent / "shrunk-curve/plots/metrics/loss.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in curve[1:]] == [str(step) for step in range(1, 7)]
    monkeypatch.setattr(transformers.Trainer, "training_step", lambda *_: run_out())
    with pytest.raises(InputError, match="out of memory in training on a row at a time"):
        run(model_section, path, "none", **settings | {"micro_batch_size": 1})


def run_out():
    raise torch.OutOfMemoryError("CUDA out of memory.")


KILLED = """
import json, sys
from pathlib import Path
from dataselect.training import train
model, path, settings = json.loads(sys.argv[1])
done = train(model, Path(path), Path("killed"), Path("killed-curve"), **settings)
print(json.dumps(done), flush=True)
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(
    file, model_section, in_scratch, processes
):
    path = file(rows(40))
    settings = {**FAST, "epochs": 6, "save_steps": 7, "processes": processes}
    done, whole = run(model_section, path, "whole", **settings)
    curve = (in_scratch / "whole-curve/plots/metrics/loss.tsv").read_text()
    arguments = json.dumps([model_section, str(path), settings])
    command = [sys.executable, "-c", KILLED, arguments]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    home = in_scratch / ".scratch" / "train"
    deadline = time.monotonic() + 120
    # Step 14 or later, within an epoch of ten steps that is not the first.
    while not list(home.glob("*/checkpoint-[1-9][0-9]/trainer_state.json")):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (in_scratch / "killed").exists()
    again = subprocess.run(
        command,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert json.loads(again.stdout.splitlines()[-1]) == list(done)  # as if nothing had happened
    assert same(whole, load_file(in_scratch / "killed/model.safetensors"))
    assert (in_scratch / "killed-curve/plots/metrics/loss.tsv").read_text() == curve
    assert not list(home.glob("*/checkpoint-*"))  # nothing is left behind


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
