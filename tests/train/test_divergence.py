"""Training that diverges ends at once, says where, and keeps only what is finite."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file

from dataselect.compute import distributed
from dataselect.data import checksums
from dataselect.data.files import scratch_folder
from dataselect.errors import InputError
from dataselect.models.chat import load_chat
from dataselect.reference.proxy import proxy
from dataselect.train.divergence import has_finite_weights, step_log
from dataselect.train.fit import Recipe
from dataselect.train.rows import encode_file
from dataselect.train.run import TrainSection, _train_in_process, train
from dataselect.train.trainer import last_complete_checkpoint
from tests.helpers import MODEL, mistake
from tests.reference import write_pool

pytestmark = pytest.mark.slow

RECIPE = Recipe(epochs=2, learning_rate=1e-3, batch_size=4, save_steps=1, processes=1)


def turns(number):
    text = f"word{number % 3} again"
    return [{"role": "user", "content": "Say it."}, {"role": "assistant", "content": text}]


@pytest.fixture
def file(in_scratch):
    path = in_scratch / "train.jsonl"
    path.write_text("".join(json.dumps({"messages": turns(i)}) + "\n" for i in range(12)))
    return path


def run(file, name="model", **settings):
    """Trains; returns what was done."""
    section = TrainSection(MODEL, replace(RECIPE, **settings), "code")
    return train(section, file, file.parent / name, file.parent / f"{name}-curve")


def curve(folder):
    """The steps and losses of a curve."""
    lines = (folder / "plots/metrics/loss.tsv").read_text().splitlines()[1:]
    return {int(line.split("\t")[0]): float(line.split("\t")[-1]) for line in lines}


def poison(monkeypatch, step, what="loss", rank=0):
    """Makes the loss, or the gradients, of one step NaN in one of the processes."""
    training_step = transformers.Trainer.training_step

    def poisoned(self, net, inputs, *args):
        loss = training_step(self, net, inputs, *args)
        is_here = distributed.is_main_process() == (rank == 0)
        if not is_here or self.state.global_step + 1 != step:
            return loss
        if what == "loss":
            return loss * np.nan
        next(net.parameters()).grad.fill_(np.inf)
        return loss

    monkeypatch.setattr(transformers.Trainer, "training_step", poisoned)


def test_a_learning_rate_that_is_too_high_ends_with_the_step_and_advice(file):
    message = mistake(run, file, learning_rate=1e30)
    assert "training diverged: at step 3 of 6 (learning rate " in message
    assert "is NaN or infinite. Lower `learning_rate`" in message
    assert "in its settings in methods.yaml" in message
    assert not (file.parent / "model").exists()
    kept = list(scratch_folder().glob("train/*/checkpoint-*"))
    assert kept
    assert all(has_finite_weights(folder) for folder in kept)
    assert mistake(run, file, learning_rate=1e30) == message  # from the checkpoint that is kept


@pytest.mark.slow
@pytest.mark.parametrize("what", ["loss", "gradient norm"])
def test_training_ends_where_it_diverges_and_keeps_the_checkpoint_before(file, monkeypatch, what):
    poison(monkeypatch, 4, what)
    message = mistake(run, file)
    assert "at step 4 of 6" in message
    assert f"the {what} is NaN or infinite" in message
    (kept,) = scratch_folder().glob("train/*/checkpoint-*")
    assert kept.name == "checkpoint-3"
    assert f"The checkpoint after step 3 is kept, until you remove it: {kept}." in message
    monkeypatch.undo()
    monkeypatch.chdir(file.parent)
    assert run(file).steps == 6


@pytest.mark.slow
def test_a_first_step_that_is_not_finite_is_the_models_fault(file, monkeypatch):
    poison(monkeypatch, step=1)
    message = mistake(run, file)
    assert "at step 1 of 6" in message
    assert "so training did not cause it. Set `train.dtype: float32`" in message


def test_allowed_steps_are_skipped_and_the_next_ends_the_run(file, monkeypatch, capsys):
    poison(monkeypatch, step=3)
    done = run(file, skip_steps=1)
    assert (done.steps, done.skipped_steps) == (6, 1)
    assert np.isfinite(done.loss_nats)
    assert (
        "step 3: the loss is NaN or infinite; skipped (1 of 1 allowed)" in capsys.readouterr().out
    )
    losses = curve(file.parent / "model-curve")
    assert sorted(losses) == [1, 2, 4, 5, 6]
    assert np.isfinite(list(losses.values())).all()
    assert all(
        np.isfinite(w).all() for w in load_file(file.parent / "model/model.safetensors").values()
    )
    poison(monkeypatch, step=5)
    message = mistake(run, file, "other", skip_steps=1, epochs=3)
    assert "at step 5 of 9" in message
    assert "is NaN or infinite, after 1 skipped steps. " in message


@pytest.mark.slow
def test_a_skipped_step_changes_no_weight(file, monkeypatch):
    poison(monkeypatch, step=3)
    message = mistake(run, file)
    (before,) = scratch_folder().glob("train/*/checkpoint-2")
    weights = load_file(before / "model.safetensors")
    save = transformers.Trainer._save_checkpoint
    saved = {}

    def keep(self, *args, **kwargs):
        saved[self.state.global_step] = {
            name: w.detach().numpy().copy() for name, w in self.model.named_parameters()
        }
        save(self, *args, **kwargs)

    monkeypatch.setattr(transformers.Trainer, "_save_checkpoint", keep)
    run(file, skip_steps=1)
    assert "at step 3" in message
    for name, before_it in saved[2].items():
        np.testing.assert_array_equal(saved[3][name], before_it, err_msg=name)
        if name in weights:
            np.testing.assert_array_equal(weights[name], before_it, err_msg=name)
    assert any((saved[4][name] != saved[3][name]).any() for name in saved[3])


@pytest.mark.slow
def test_weights_that_overflow_in_the_last_step_are_not_a_model(file, monkeypatch):
    step = torch.optim.AdamW.step

    def overflow(self, *args, **kwargs):
        step(self, *args, **kwargs)
        for group in self.param_groups:
            group["params"][0].data.fill_(np.inf)

    monkeypatch.setattr(torch.optim.AdamW, "step", overflow)
    message = mistake(run, file, epochs=1 / 3, save_steps=100)
    assert "training diverged: after step 1 the weight `" in message
    assert not (file.parent / "model").exists()


@pytest.mark.slow
def test_a_run_that_skipped_every_step_is_no_model(file, monkeypatch):
    training_step = transformers.Trainer.training_step
    monkeypatch.setattr(
        transformers.Trainer, "training_step", lambda *args: training_step(*args) * np.nan
    )
    assert "all 6 steps were skipped" in mistake(run, file, skip_steps=6)


def test_a_checkpoint_with_nan_weights_is_not_resumed_from(tmp_path):
    for step, number in {2: 1.0, 10: 2.0, 11: np.nan, 12: np.inf}.items():
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text("{}")
        save_file({"w": np.asarray([0.0, number])}, folder / "model.safetensors")
        checksums.seal(folder, folder)
    assert last_complete_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-2"]


def test_only_a_skipped_step_is_logged_without_a_loss():
    assert step_log({"loss": 1.0, "grad_norm": 2.0}) == {"loss": 1.0, "grad_norm": 2.0}
    assert step_log({"train_runtime": 1.0}) == {"train_runtime": 1.0}
    skipped = {"loss": 0.0, "learning_rate": 1e-3}
    assert step_log(skipped) == {"learning_rate": 1e-3, "skipped": True}


@pytest.mark.slow
def test_a_reference_that_diverges_ends_the_same_way(in_scratch):
    write_pool(in_scratch / "pool.parquet", 12)
    fit = proxy(seed=0, learning_rate=1e30, batch_size=4, checkpoints=6).fit
    short = replace(MODEL, max_tokens=128)
    message = mistake(fit, short, in_scratch / "pool.parquet", in_scratch)
    assert "training diverged: at" in message or "training diverged: after" in message
    assert "in its settings in methods.yaml" in message
    assert all(has_finite_weights(path) for path in in_scratch.glob("checkpoints/*"))


def train_with_a_nan_in_the_second_process(step, *args):
    """What each process runs: only the second sees the loss that is NaN."""
    with pytest.MonkeyPatch.context() as patch:
        poison(patch, step, rank=1)
        return _train_in_process(*args)


@pytest.mark.slow
@pytest.mark.torture
def test_several_processes_skip_and_stop_together(file):
    rows = encode_file(file, load_chat(MODEL), file.parent / "tokens")

    def launch(name, skip_steps):
        home = file.parent / f"{name}-home"
        home.mkdir()
        recipe = replace(RECIPE, processes=2, skip_steps=skip_steps)
        out, folder = file.parent / name, file.parent / f"{name}-curve"
        work = train_with_a_nan_in_the_second_process
        return distributed.launch(2, work, 3, MODEL, rows, home, out, folder, recipe)

    done = launch("skipping", 1)
    assert (done.steps, done.skipped_steps) == (6, 1)
    assert np.isfinite(done.loss_nats)
    with pytest.raises(InputError, match=r"at step 3 of 6 .* the loss is NaN or infinite"):
        launch("stopping", 0)
