"""Training in shards: as in one process, and resumed after a kill, over two gloo processes."""

import json
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch.multiprocessing.spawn import ProcessRaisedException

from dataselect.compute import distributed
from dataselect.models.chat import load_chat
from dataselect.models.load import load_causal, load_tokenizer
from dataselect.models.sharded import save_whole
from dataselect.train.adapters import add_adapters
from dataselect.train.fit import Recipe, fit
from dataselect.train.nets import check_types, load_trainable
from dataselect.train.rows import encode_file
from dataselect.train.run import TrainSection
from dataselect.train.sharding import check_processes, check_sharded
from tests.helpers import MODEL, mistake
from tests.train import kill_at_checkpoint, resume, trained

pytestmark = pytest.mark.usefixtures("threads")

FAST = Recipe(epochs=2, learning_rate=1e-3, batch_size=4, threads=1, processes=2, sharding="full")
run = partial(trained, recipe=FAST)
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


ALONE = {"processes": 1, "sharding": "none"}


def close(first, second, rtol=1e-3, atol=2e-5):
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=rtol, atol=atol, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        pytest.param({"gradient_checkpointing": True}, marks=pytest.mark.torture),
        pytest.param({"dtype": "bfloat16"}, marks=pytest.mark.torture),
        pytest.param(
            {"weights": "bfloat16", "optimizer": "adamw_float32"}, marks=pytest.mark.torture
        ),
        pytest.param(LORA, marks=pytest.mark.torture),
    ],
    ids=["full", "checkpointing", "autocast", "bfloat16", "lora"],
)
def test_shards_train_to_the_weights_of_one_process(file, settings):
    alone, weights = run(file, "alone", **ALONE, **settings)
    sharded, other = run(file, "sharded", **settings)
    assert alone[:6] == sharded[:6] and alone[7:] == sharded[7:]
    assert sharded.loss_nats == pytest.approx(alone.loss_nats, rel=1e-3)
    # In bfloat16, with 8 bits, sums that round otherwise differ in the last of them.
    small = "bfloat16" in settings.values()
    close(weights, other, *((1e-2, 2e-3) if small else (1e-3, 2e-5)))
    names = [{path.name for path in (file.parent / out).iterdir()} for out in ("alone", "sharded")]
    assert names[0] == names[1]
    configs = [(file.parent / out / "config.json").read_text() for out in ("alone", "sharded")]
    assert configs[0] == configs[1]


KILLED = """
import json, sys
from pathlib import Path
from dataselect.settings import from_json
from dataselect.train.run import TrainSection, train
section, path = json.loads(sys.argv[1])
done = train(from_json(TrainSection, section), Path(path), Path("killed"), Path("killed-curve"))
print(json.dumps(done), flush=True)
"""


@pytest.mark.torture
@pytest.mark.parametrize("settings", [{}, LORA | {"lora_dropout": 0.1}], ids=["full", "lora"])
def test_a_killed_run_resumes_from_its_parts_and_ends_with_the_same_weights(
    file, in_scratch, settings
):
    settings |= {"epochs": 12, "save_steps": 5}
    done, uninterrupted = run(file, "uninterrupted", **settings)
    section = TrainSection(MODEL, replace(FAST, **settings), "code")
    command = [sys.executable, "-c", KILLED, json.dumps([asdict(section), str(file)])]
    home = in_scratch / ".scratch" / "train"
    kill_at_checkpoint(command, home, "[1-3][0-9]")
    (folder,) = home.glob("*/checkpoint-*0/..")
    parts = {path.name for path in folder.glob("checkpoint-*/*.safetensors")}
    assert parts == {f"shard-0000{i}-model-00001-of-00001.safetensors" for i in (1, 2)}
    assert resume(command) == list(done)
    weights = load_file(in_scratch / "killed/model.safetensors")
    assert weights.keys() == uninterrupted.keys()
    assert all(torch.equal(weights[name], uninterrupted[name]) for name in weights)


def fit_rows(path, home, recipe):
    """Fits in a process, which holds a part of what is trained; saves the model."""
    rows = encode_file(path, load_chat(MODEL), home.with_name(f"{home.name}-tokens"))
    net = load_trainable(MODEL, recipe)
    check_sharded(net)
    trainer = fit(net, load_tokenizer(MODEL), rows, home, recipe)
    state = trainer.optimizer.optimizer.state
    for weight in net.parameters():
        for part in (weight, state[weight]["exp_avg"], state[weight]["exp_avg_sq"]):
            assert 2 * part.to_local().numel() <= part.numel()
    save_whole(net, Path(f"{home}-model"))


def fit_some_rows(path, home, recipe):
    """As `fit_rows`, but ends in the third step."""
    training_step = transformers.Trainer.training_step

    def interrupted(self, *args):
        if self.state.global_step == 2:
            raise RuntimeError("stopped")
        return training_step(self, *args)

    transformers.Trainer.training_step = interrupted
    fit_rows(path, home, recipe)


@pytest.mark.torture
def test_another_number_of_processes_reads_the_parts(file, in_scratch):
    recipe = replace(FAST, epochs=1, save_steps=2)  # 4 steps
    distributed.launch(2, fit_rows, file, in_scratch / "two", recipe)
    home = in_scratch / "changed"
    with pytest.raises(ProcessRaisedException, match="stopped"):
        distributed.launch(2, fit_some_rows, file, home, recipe)
    assert len(list(home.glob("checkpoint-2/shard-*"))) == 2
    distributed.launch(4, fit_rows, file, home, recipe)
    close(*(load_file(f"{name}-model/model.safetensors") for name in (home, in_scratch / "two")))


def fit_whole(path, home, recipe):
    rows = encode_file(path, load_chat(MODEL), home.with_name(f"{home.name}-tokens"))
    net = add_adapters(load_causal(MODEL), recipe)
    fit(net, load_tokenizer(MODEL), rows, home, recipe)


@pytest.mark.slow
def test_training_does_not_go_on_with_a_model_that_is_whole(file, in_scratch):
    message = mistake(distributed.launch, 2, fit_whole, file, in_scratch / "home", FAST)
    assert message.startswith("train.sharding: full: the model was not sharded: `model.embed_")
    assert not list(in_scratch.glob("home/checkpoint-*"))


def test_one_process_and_what_cannot_be_sharded_are_refused(file):
    message = mistake(run, file, "one", processes=1)
    assert message.startswith("train.sharding: full: expected several processes to share the model")
    assert not (file.parent / "one").exists()
    check_processes(FAST, 2, "train")
    check_processes(replace(FAST, sharding="none"), 1, "train")
    for changes in (
        {"weights": "nf4", "method": "lora"}, {"optimizer": "adamw_8bit"},
        {"loss_per": "micro_batch"},
        {"packed": True, "micro_batch_size": 2},
    ):  # fmt: skip
        message = mistake(check_types, replace(FAST, **changes), "params.yaml: train")
        assert message.startswith("params.yaml: train.sharding: full: cannot be combined with `")
        check_types(replace(FAST, sharding="none", **changes), "train")
