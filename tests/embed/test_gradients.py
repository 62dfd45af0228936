"""LESS's gradients: influences against the published code, Adam's step, projected features."""

import shutil

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from dataselect.data.checkpoints import Checkpoint
from dataselect.data.examples import Example
from dataselect.data.scores import PoolInfo, Queries, Rows
from dataselect.embed.gradients import Adam, adam_step, gradients
from dataselect.score.influence import influence
from tests.embed import Costs, measure, turns
from tests.helpers import GOLDEN, MODEL


@pytest.fixture(scope="module")
def checkpoints(checkpoint, tmp_path_factory):
    """The golden checkpoint, and one with other adapters and a third of its learning rate."""
    folder = tmp_path_factory.mktemp("lora") / "01"
    shutil.copytree(checkpoint.folder, folder)
    path = folder / "adapter_model.safetensors"
    other = {name: 2 * tensor + 0.1 for name, tensor in load_file(path).items()}
    save_file(other, path)
    return [checkpoint, Checkpoint(folder, checkpoint.mean_learning_rate / 3)]


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "less.npz")


@pytest.fixture(scope="module")
def rows(golden):
    """The pool's rows that have a golden influence, in its order; and the queries."""
    pool = pl.read_parquet(GOLDEN / "pool.parquet")
    ids = pl.DataFrame({"id": golden["ids"].astype(str)})
    pool = ids.join(pool, on="id", how="left", maintain_order="left")
    return pool, pl.read_parquet(GOLDEN / "queries.parquet")


def both(rows, checkpoint, **settings):
    featurizer = gradients(**settings).load(MODEL, [checkpoint])
    return [
        featurizer(frame["messages"].to_list(), side, lambda *_: None)
        for frame, side in zip(rows, ("pool", "queries"), strict=True)
    ]


@pytest.fixture(scope="module")
def unprojected(rows, checkpoint):
    return both(rows, checkpoint, projection="none")


def scored(rows, features, groups="queries"):
    pool, queries = rows
    block = Rows(pool["id"].to_list(), pool["source"].to_list(), features[0])
    table = Queries(queries["task"].to_list(), queries["id"].to_list(), features[1])
    prepared = influence(groups=groups).prepare(PoolInfo(pool.height, []), table)
    return prepared.score(block)


@pytest.mark.slow
def test_influences_before_projection_agree(golden, rows, unprojected):
    ours = scored(rows, unprojected)
    tasks = rows[1]["task"].to_numpy()
    for task in np.unique(tasks):
        expected = golden[f"influence/{task}"]
        np.testing.assert_allclose(ours[:, tasks == task], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rademacher", "srht"])
@pytest.mark.torture
def test_projection_to_8192_keeps_the_influences(rows, unprojected, checkpoint, kind):
    exact = scored(rows, unprojected, "tasks")
    features = both(rows, checkpoint, projection=kind)
    assert features[0]["gradients"].dtype == np.float16
    assert features[0]["gradients"].shape == (len(exact), 1, 8192)
    ours = scored(rows, features, "tasks")
    error = np.sqrt(np.square(ours - exact).mean())
    overlap = np.mean([
        len({*np.argsort(-ours[:, t])[:20]} & {*np.argsort(-exact[:, t])[:20]}) / 20
        for t in range(ours.shape[1])
    ])  # fmt: skip
    print(f"{kind}: root mean square error {error:.4f}, top-20 overlap {overlap:.2f}")
    assert error <= 0.02
    assert overlap >= 0.7


def test_adams_step_by_hand():
    # m = 0.9·1 + 0.1·2 = 1.1; v = 0.999·4 + 0.001·4 = 4; 1.1 / √(4 + 5) with ε = 5
    g, m, v = torch.tensor([2.0]), torch.tensor([1.0]), torch.tensor([4.0])
    assert adam_step(g, m, v, Adam(epsilon=5.0)).item() == pytest.approx(1.1 / 3)


def test_every_checkpoint_is_measured_and_weighted_by_its_learning_rate(checkpoints):
    rows = pl.read_parquet(GOLDEN / "queries.parquet").head(3)["messages"].to_list()
    costs = Costs()
    feature = gradients(dims=64)
    arrays = measure(feature, rows, checkpoints=checkpoints, side="queries", progress=costs)
    assert arrays["gradients"].shape == (3, 2, 64)
    np.testing.assert_allclose(np.linalg.norm(arrays["gradients"], axis=2), 1, atol=2e-3)
    np.testing.assert_allclose(arrays["weight"], [[0.75, 0.25]] * 3, rtol=1e-6)
    first, second = arrays["gradients"][:, 0], arrays["gradients"][:, 1]
    assert np.abs(first - second).max() > 0.01
    assert costs.rows == 3
    assert costs.calls[:2] == [1.5, 1.5]  # every checkpoint's pass counts
    alone = measure(feature, rows, checkpoints=checkpoints[1:], side="queries", progress=costs)
    np.testing.assert_array_equal(alone["gradients"][:, 0], second)
    assert set(measure(feature, rows[:1], checkpoints=checkpoints)) == {"gradients"}


def test_a_querys_gradient_is_its_answers_alone(checkpoints):
    """Header and prefill are a prompt, as if the whole were raw text; another answer counts."""
    prompt = "<|user|>\nWhich?\n<|assistant|>\nThe answer is:"
    rows = [
        Example(turns("Which?", " B"), prefill="The answer is:"),
        Example(turns(prompt, " B"), format="raw"),
        Example(turns("Which?", " C"), prefill="The answer is:"),
        turns("Which?", "The answer is: B"),
    ]
    arrays = measure(gradients(dims=64), rows, checkpoints=checkpoints[:1], side="queries")
    prefilled, raw, other, plain = arrays["gradients"][:, 0].astype(np.float32)
    np.testing.assert_allclose(prefilled, raw, atol=1e-3)
    assert prefilled @ other < 0.99
    assert prefilled @ plain < 0.99


def test_checkpoints_of_learning_rate_0_weigh_the_same(checkpoints):
    unweighted = [checkpoint._replace(mean_learning_rate=0.0) for checkpoint in checkpoints]
    rows = [turns("q", "a")]
    arrays = measure(gradients(dims=8), rows, checkpoints=unweighted, side="queries")
    assert arrays["weight"].tolist() == [[0.5, 0.5]]


def test_a_row_without_a_response_has_no_gradient(checkpoint):
    rows = [turns("hello"), turns("hello", "hi")]
    found = measure(gradients(dims=32), rows, checkpoints=[checkpoint])["gradients"]
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


@pytest.mark.parametrize(("kind", "dims"), [("none", 8), ("srht", 2**20), ("rademacher", 8)])
def test_shards_are_equally_wide_whatever_is_in_them(checkpoint, kind, dims):
    feature = gradients(dims=dims, projection=kind)
    arrays = [
        measure(feature, [row], checkpoints=[checkpoint])["gradients"]
        for row in (turns("q", "a"), turns("q"))
    ]
    assert arrays[0].shape == arrays[1].shape
    assert np.isnan(arrays[1]).all()
    if kind == "rademacher":
        assert arrays[0][0].nbytes == feature.bytes_per_row(None, 1)
    if kind == "none":
        assert feature.bytes_per_row(None, 1) is None


def test_its_contract():
    feature = gradients()
    assert feature.outputs == ("gradients",)
    assert feature.needs_reference == "adapters"
    assert feature.bytes_per_row(None, 4) == 4 * 8192 * 2
