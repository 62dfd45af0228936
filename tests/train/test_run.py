"""Training repeats to the bit, resumes after a kill, and learns from responses only."""

import json
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from dataselect.errors import InputError
from dataselect.train import run as train_run
from dataselect.train.fit import Recipe
from dataselect.train.run import Trained, TrainSection, _nothing_half_saved, train
from tests.helpers import MODEL
from tests.train import kill_at_checkpoint, resume, trained

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("threads")]

FAST = Recipe(epochs=2, learning_rate=1e-2, batch_size=4, threads=1)
run = partial(trained, recipe=FAST)
SHORT = replace(MODEL, max_tokens=64)


def rows(count=12, prompt="Say it."):
    responses = [f"word{i % 3} again" for i in range(count)]
    return [
        {
            "id": str(i),
            "source": "s",
            "messages": [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": response},
            ],
        }
        for i, response in enumerate(responses)
    ]


@pytest.fixture
def file(in_scratch):
    def write(rows, name="train.jsonl"):
        path = in_scratch / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


def curve(path, name):
    """The lines of a run's loss curve, split into cells."""
    text = (path.parent / f"{name}-curve/plots/metrics/loss.tsv").read_text()
    return [line.split("\t") for line in text.splitlines()]


def losses(path, name):
    return [float(line[-1]) for line in curve(path, name)[1:]]


def same(weights, other):
    return weights.keys() == other.keys() and all(
        np.array_equal(weights[name], other[name]) for name in weights
    )


def test_same_seed_same_weights_and_another_seed_others(file):
    path = file(rows())
    done, first = run(path, "first")
    _, second = run(path, "second")
    _, other = run(path, "other", seed=1)
    assert same(first, second)
    assert not same(first, other)
    assert (done.rows, done.dropped, done.steps) == (12, 0, 6)
    assert [line[0] for line in curve(path, "first")] == ["step", "1", "2", "3", "4", "5", "6"]


def test_a_run_of_one_step_learns_too(file):
    before = load_file(f"{MODEL.name}/model.safetensors")
    done, after = run(file(rows(4)), "model", epochs=1)
    assert done.steps == 1
    assert not same(before, after)


def test_steps_stand_for_as_many_epochs(file):
    path = file(rows(10))  # three steps an epoch, the last of them smaller
    by_epochs, weights = run(path, "epochs", epochs=2)
    by_steps, same_weights = run(path, "steps", steps=6)
    assert by_steps == by_epochs
    assert same(weights, same_weights)
    more, _ = run(path, "more", steps=7)
    assert (more.steps, more.epochs) == (7, 7 / 3)
    assert more.tokens == int(by_epochs.tokens / 2 * 7 / 3)


def uneven_rows(count):
    """Rows whose lengths differ."""
    uneven = rows(count)
    for i, row in enumerate(uneven):
        row["messages"][1]["content"] = f"word{i % 3} " * (1 + i % 5)
    return uneven


def test_steps_of_rows_of_like_length_resume_in_the_same_order(file, monkeypatch):
    path = file(uneven_rows(22))
    settings = {"steps": 14, "save_steps": 4, "group_by_length": True}
    done, uninterrupted = run(path, "uninterrupted", **settings)
    assert done.epochs == 14 / 6
    training_step = transformers.Trainer.training_step

    def interrupted(self, *args):
        if self.state.global_step == 10:  # of the second epoch's six steps, the fifth
            raise KeyboardInterrupt
        return training_step(self, *args)

    monkeypatch.setattr(transformers.Trainer, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(path, "resumed", **settings)
    monkeypatch.undo()
    resumed, weights = run(path, "resumed", **settings)
    assert resumed == done
    assert same(weights, uninterrupted)
    _, random = run(path, "random", **settings | {"group_by_length": False})
    assert not same(weights, random)


def test_training_lowers_the_loss_of_the_responses(file):
    path = file(rows(24))
    run(path, "model", epochs=6)
    by_step = losses(path, "model")
    assert np.mean(by_step[-3:]) < 0.5 * np.mean(by_step[:3])


def test_the_first_loss_is_that_of_the_responses_only(file):
    from dataselect.models.chat import load_chat
    from dataselect.models.load import load_causal
    from dataselect.models.nll import token_losses

    path = file(rows(4))
    run(path, "model", epochs=1)
    encoded = load_chat(MODEL).encode([row["messages"] for row in rows(4)])
    nll = token_losses(load_causal(MODEL), encoded).response
    tokens = [int(row.response.sum()) for row in encoded]
    assert losses(path, "model")[0] == pytest.approx(np.average(nll, weights=tokens), rel=1e-3)


def test_rows_whose_response_is_cut_off_are_dropped_and_counted(file):
    long = rows(2, prompt="word " * 200)
    done, _ = run(file(rows(6) + long), "model", SHORT)
    assert (done.rows, done.dropped) == (6, 2)
    with pytest.raises(InputError, match="none of the 2 rows has a response token"):
        run(file(long), "none", SHORT)
    assert not (file(long).parent / "none").exists()


def test_a_batch_must_hold_whole_micro_batches(file):
    with pytest.raises(InputError, match=r"expected a multiple of train\.micro_batch_size"):
        run(file(rows()), "model", batch_size=4, micro_batch_size=3)


def test_lora_is_merged_into_a_model_that_loads_alone(file):
    base = load_file(f"{MODEL.name}/model.safetensors")
    _, merged = run(file(rows()), "lora", method="lora", lora_rank=4, lora_alpha=8)
    assert merged.keys() == base.keys()
    changed = {name for name in base if not np.array_equal(base[name], merged[name])}
    assert changed
    assert all("proj" in name for name in changed)


def test_the_saved_tokenizer_has_the_chat_template_that_it_learned(file):
    from transformers import AutoTokenizer

    from dataselect.models.chat import load_chat

    path = file(rows(4))
    run(path, "model", epochs=1)
    saved = AutoTokenizer.from_pretrained(path.parent / "model")
    chat = load_chat(MODEL)
    assert saved.chat_template == chat.jinja_template
    messages = rows(1)[0]["messages"]
    ids = saved.apply_chat_template(messages)["input_ids"]
    assert ids == chat.encode([messages])[0].ids.tolist()
    text = saved.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert text == chat.prompt(messages[:1])


def test_losses_may_be_averaged_per_micro_batch(file):
    uneven = rows(8)
    uneven[0]["messages"][1]["content"] = "a much longer answer " * 10
    path = file(uneven)
    _, by_token = run(path, "token")
    _, by_batch = run(path, "batch", loss_per="micro_batch")
    assert not same(by_token, by_batch)


def test_micro_batches_shrink_where_memory_runs_out(file, monkeypatch, capsys):
    path = file(rows(13))
    settings = {"batch_size": 6, "micro_batch_size": 6, "save_steps": 2}
    _, small = run(path, "small", **settings | {"micro_batch_size": 1})
    training_step = transformers.Trainer.training_step

    def limited(self, net, inputs, *args):
        row_count = len(inputs["input_ids"])
        if row_count > 3 or (self.state.global_step > 2 and row_count > 1):
            run_out_of_memory()
        return training_step(self, net, inputs, *args)

    monkeypatch.setattr(transformers.Trainer, "training_step", limited)
    done, shrunk = run(path, "shrunk", **settings)
    lines = [line for line in capsys.readouterr().out.splitlines() if "memory" in line]
    assert lines == [f"out of memory: continuing with micro-batches of {size}" for size in (3, 1)]
    assert done.steps == 6
    for name, weights in small.items():
        np.testing.assert_allclose(weights, shrunk[name], rtol=1e-2, atol=1e-4, err_msg=name)
    assert [line[0] for line in curve(path, "shrunk")[1:]] == [str(step) for step in range(1, 7)]
    monkeypatch.setattr(transformers.Trainer, "training_step", run_out_of_memory)
    with pytest.raises(InputError, match="out of memory while training on one row at a time"):
        run(path, "none", **settings | {"micro_batch_size": 1})


def run_out_of_memory(*args):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


# 13 rows: an epoch ends in a step of one, of which a second process has no row.
@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"group_by_length": True}, marks=pytest.mark.torture),
        pytest.param({"packed": True, "micro_batch_size": 2}, marks=pytest.mark.torture),
    ],
    ids=str,
)
def test_two_processes_train_to_the_weights_of_one(file, changes):
    path = file(uneven_rows(13))  # a row counts by its tokens
    settings = {"learning_rate": 1e-3, **changes}
    alone, weights = run(path, "alone", processes=1, **settings)
    shared, other_weights = run(path, "shared", processes=2, **settings)
    assert (alone.steps, alone.rows, alone.tokens) == (shared.steps, shared.rows, shared.tokens)
    assert losses(path, "shared") == pytest.approx(losses(path, "alone"), rel=1e-3)
    assert weights.keys() == other_weights.keys()
    for name in weights:
        np.testing.assert_allclose(
            weights[name], other_weights[name], rtol=1e-3, atol=2e-5, err_msg=name
        )


def test_whatever_decides_a_run_gives_it_a_scratch_folder_of_its_own(file, monkeypatch):
    homes = []

    def record(work, model, examples, home, out, curve, recipe):
        homes.append(home)
        out.mkdir(exist_ok=True)
        (out / "weights").write_text("weights")
        curve.mkdir(exist_ok=True)
        return Trained(1, 0, 1.0, 1, 1, 0, 1.0, 1, 1, 1.0)

    monkeypatch.setattr("dataselect.train.run.fit_distributed", record)
    monkeypatch.setattr("dataselect.models.load.check_planned_model", lambda name, md5: None)
    section, path = TrainSection(MODEL, FAST, "code"), file(rows(2))
    sections = [
        section,
        replace(section, code="other code"),
        replace(section, recipe=replace(FAST, seed=1)),
        replace(section, model=replace(MODEL, md5="other weights")),
    ]
    for changed in sections:
        train(changed, path, path.parent / "model", path.parent / "curve")
    train(section, file(rows(3), "more.jsonl"), path.parent / "model", path.parent / "curve")
    monkeypatch.setattr("dataselect.train.run.computes_in_bfloat16", lambda recipe: True)
    train(section, path, path.parent / "model", path.parent / "curve")
    assert len(set(homes)) == 6
    monkeypatch.setattr("dataselect.train.run.computes_in_bfloat16", lambda recipe: False)
    train(section, file(rows(2), "again.jsonl"), path.parent / "other", path.parent / "curve")
    assert homes[-1] == homes[0]


def test_a_training_that_finished_before_its_model_was_stored_is_not_done_again(file, monkeypatch):
    path = file(rows())
    section = TrainSection(MODEL, FAST, "code")
    done, weights = run(path, "one")
    monkeypatch.setattr(train_run, "fit", None)  # nothing is fitted again
    again = train(section, path, path.parent / "two", path.parent / "two-curve")
    assert same(weights, load_file(path.parent / "two/model.safetensors"))
    assert curve(path, "one") == curve(path, "two")
    assert again._replace(other_seconds=0.0) == done
    assert again.other_seconds > 0


KILLED = """
import json, sys
from pathlib import Path
from dataselect.settings import from_json
from dataselect.train.run import TrainSection, train
section, path = json.loads(sys.argv[1])
done = train(from_json(TrainSection, section), Path(path), Path("killed"), Path("killed-curve"))
print(json.dumps(done), flush=True)
"""


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.torture)])
def test_a_killed_run_resumes_and_ends_with_the_same_weights(file, in_scratch, processes):
    path = file(rows(40))
    settings = {"epochs": 6, "save_steps": 7, "processes": processes}
    done, uninterrupted = run(path, "uninterrupted", **settings)
    section = TrainSection(MODEL, replace(FAST, **settings), "code")
    command = [sys.executable, "-c", KILLED, json.dumps([asdict(section), str(path)])]
    home = in_scratch / ".scratch" / "train"
    # Step 14 or later, within an epoch of ten steps that is not the first.
    kill_at_checkpoint(command, home, "[1-9][0-9]")
    assert not (in_scratch / "killed").exists()
    assert resume(command) == list(done)
    assert same(uninterrupted, load_file(in_scratch / "killed/model.safetensors"))
    assert curve(path, "killed") == curve(path, "uninterrupted")
    assert not list(home.glob("*/checkpoint-*"))  # nothing is left behind


def test_a_part_of_a_model_is_removed_where_saving_it_fails(in_scratch):
    """Gigabytes, where the disk may be full."""
    Path("out/.model").mkdir(parents=True)
    with pytest.raises(OSError, match="No space"), _nothing_half_saved(Path("out/model")):
        raise OSError(28, "No space left on device")
    assert list(Path("out").iterdir()) == []
