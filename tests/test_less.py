"""LESS: gradients, their projection, influences and the warm-up, against the published code."""

import shutil

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from dataselect.data import tables
from dataselect.data.checkpoints import Checkpoint
from dataselect.data.scores import Pool, Queries, Rows
from dataselect.embed.gradients import Adam, gradients, stepped
from dataselect.errors import InputError
from dataselect.models.chat import Chat
from dataselect.models.load import load_tokenizer
from dataselect.numerics import projection
from dataselect.numerics.draws import shuffled_rows
from dataselect.reference.warmup import warmup
from dataselect.score.influence import influence
from dataselect.train import snapshots
from dataselect.train.fit import DEFAULTS
from tests.helpers import GOLDEN, MODEL


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The golden adapter and its moments, in the form that the warm-up leaves them."""
    folder = tmp_path_factory.mktemp("lora") / "00"
    shutil.copytree(GOLDEN / "lora", folder)
    shutil.copy2(GOLDEN / "adam_state.safetensors", folder / "adam.safetensors")
    return Checkpoint(folder, 1e-5)


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


def both(rows, checkpoints, **settings):
    compute = gradients(MODEL, checkpoints, **settings)
    pool, queries = (
        compute(frame["messages"].to_list(), side, lambda *_: None)
        for frame, side in zip(rows, ("pool", "queries"), strict=True)
    )
    return pool, queries


@pytest.fixture(scope="module")
def whole(rows, checkpoint):
    """Gradients before any projection."""
    return both(rows, [checkpoint], projection="none")


def scored(rows, features, groups="queries"):
    pool, queries = rows
    block = Rows(pool["id"].to_list(), pool["source"].to_list(), features[0])
    table = Queries(queries["task"].to_list(), queries["id"].to_list(), features[1])
    answer = influence(Pool(pool.height, [], [block]), table, groups=groups)
    return np.concatenate(list(answer.blocks)), answer.groups


def test_influences_before_projection_agree(golden, rows, whole):
    ours, _ = scored(rows, whole)
    tasks = rows[1]["task"].to_numpy()
    for task in np.unique(tasks):
        expected = golden[f"influence/{task}"]
        np.testing.assert_allclose(ours[:, tasks == task], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["rademacher", "srht"])
def test_projection_to_8192_keeps_the_influences(rows, whole, checkpoint, kind):
    exact, _ = scored(rows, whole, "tasks")
    features = both(rows, [checkpoint], projection=kind)
    assert features[0]["gradients"].dtype == np.float16
    assert features[0]["gradients"].shape == (len(exact), 1, 8192)
    ours, _ = scored(rows, features, "tasks")
    error = np.sqrt(np.square(ours - exact).mean())
    overlap = np.mean([
        len({*np.argsort(-ours[:, t])[:20]} & {*np.argsort(-exact[:, t])[:20]}) / 20
        for t in range(ours.shape[1])
    ])  # fmt: skip
    print(f"{kind}: root mean square error {error:.4f}, top-20 overlap {overlap:.2f}")
    assert error <= 0.02
    assert overlap >= 0.7


@pytest.mark.parametrize("of", [projection.rademacher, projection.srht])
def test_a_projection_keeps_angles_and_does_not_depend_on_the_batch(of):
    draws = torch.Generator().manual_seed(0)
    vectors = torch.randn(6, 5000, generator=draws)
    vectors[3:] = vectors[:3] + 0.5 * vectors[3:]
    unit = torch.nn.functional.normalize
    short = of(vectors, 2048, 3)
    assert short.shape == (6, 2048)
    exact = unit(vectors, dim=1) @ unit(vectors, dim=1).T
    ours = unit(short, dim=1) @ unit(short, dim=1).T
    assert (ours - exact).abs().max() < 4 / np.sqrt(2048)
    alone = torch.cat([of(one[None], 2048, 3) for one in vectors])
    torch.testing.assert_close(short, alone, rtol=1e-4, atol=1e-3)
    assert not torch.allclose(short, of(vectors, 2048, 4), atol=1.0)


def test_a_hadamard_transform_by_hand():
    # H of 4 is the product of two H of 2: (1 1; 1 −1) within pairs, then between them.
    found = projection._hadamard(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert found.tolist() == [[10.0, -2.0, -4.0, 0.0]]
    x = torch.randn(2, 1024)
    torch.testing.assert_close(
        projection._hadamard(projection._hadamard(x)) / 1024, x, rtol=1e-3, atol=1e-4
    )


def test_signs_are_fair_and_of_one_kind():
    signs = projection._signs(1_000_001, [5, 7])
    assert set(np.unique(signs)) == {0, 1}
    assert len(signs) == 1_000_001
    assert abs(signs.mean() - 0.5) < 0.002


def test_adams_step_by_hand():
    # m = 0.9·1 + 0.1·2 = 1.1; v = 0.999·4 + 0.001·4 = 4; 1.1 / √(4 + 5) with ε = 5
    g, m, v = torch.tensor([2.0]), torch.tensor([1.0]), torch.tensor([4.0])
    assert stepped(g, m, v, Adam(epsilon=5.0)).item() == pytest.approx(1.1 / 3)


def test_influence_by_hand():
    # Two checkpoints of weight 0.75 and 0.25. Task t has subtasks a (queries 0, 1) and b (2).
    pool = {"gradients": np.asarray([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], dtype=np.float16)}
    queries = {
        "gradients": np.asarray(
            [[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, 1], [0, 1]]], dtype=np.float16
        ),
        "weight": np.asarray([[0.75, 0.25]] * 3, dtype=np.float32),
    }
    # row 0: 0.75 + 0.25 = 1, 0 + 0 = 0, 0 + 0.25; row 1: 0.25, 0.75, 1
    table = Queries(["t"] * 3, ["0", "1", "2"], queries, ["a", "a", "b"])
    block = Rows(["x", "y"], ["s", "s"], pool)
    single = influence(Pool(2, [], [block]), table, groups="queries")
    np.testing.assert_allclose(next(single.blocks), [[1, 0, 0.25], [0.25, 0.75, 1]])
    of_task = influence(Pool(2, [], [block]), table, groups="auto")
    # max of the subtasks' means: row 0: max(0.5, 0.25); row 1: max(0.5, 1)
    np.testing.assert_allclose(next(of_task.blocks), [[0.5], [1.0]])
    # Without subtasks a task is one: the mean over its three queries.
    plain = Queries(table.task, table.id, queries, [None] * 3)
    np.testing.assert_allclose(
        next(influence(Pool(2, [], [block]), plain, groups="tasks").blocks),
        [[1.25 / 3], [2 / 3]],
        rtol=1e-6,
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A warm-up of three epochs on 24 of 48 golden rows."""
    home = tmp_path_factory.mktemp("warmup")
    pool = pl.read_parquet(GOLDEN / "pool.parquet").head(48)
    tables.write("pool", numbered(pool), home / "pool.parquet")
    return home, fit(home, home / "one")


def numbered(pool):
    return pool.drop("row", strict=False).with_row_index("row").cast({"row": pl.Int64})


def fit(home, out, exist_ok=False, **changes):
    out.mkdir(exist_ok=exist_ok)
    settings = {"share": 0.5, "epochs": 3, "batch_size": 4, "learning_rate": 1e-3, "seed": 0}
    small = {"lora_rank": 4, "lora_alpha": 8, "micro_batch_size": 2}
    model = {**MODEL, "max_tokens": 256}
    return warmup(model, home / "pool.parquet", out, **{**settings, **small, **changes})


def test_a_checkpoint_an_epoch_with_moments_by_name(fitted):
    home, done = fitted
    assert [one.folder.name for one in done.checkpoints] == ["00", "01", "02"]
    pool = tables.read("pool", home / "pool.parquet")
    encoded = Chat(load_tokenizer(MODEL), "tulu", 256).encode(pool["messages"].to_list())
    half = shuffled_rows(pool["id"].to_list(), 0)[:24]
    kept = [encoded[i] for i in half if encoded[i].response[1:].any()]
    assert done.rows == len(kept)
    assert done.tokens == 3 * sum(len(row.ids) for row in kept)
    assert done.steps == 3 * -(-done.rows // 4)
    before = None
    for one in done.checkpoints:
        files = {path.name for path in one.folder.iterdir()}
        assert files == {"adapter_config.json", "adapter_model.safetensors", "adam.safetensors"}
        adapter = load_file(one.folder / "adapter_model.safetensors")
        moments = load_file(one.folder / "adam.safetensors")
        named = {name.replace(".weight", ".default.weight") for name in adapter}
        wanted = {f"{m}.{name}" for m in ("exp_avg", "exp_avg_sq") for name in named}
        assert set(moments) == wanted
        for name, tensor in adapter.items():
            inside = name.replace(".weight", ".default.weight")
            assert moments[f"exp_avg_sq.{inside}"].shape == tensor.shape
            assert (moments[f"exp_avg_sq.{inside}"] >= 0).all()
        assert str(GOLDEN) not in (one.folder / "adapter_config.json").read_text()
        now = adapter[min(adapter)]
        assert before is None or not torch.equal(before, now)
        before = now


def test_mean_learning_rates_are_those_of_the_schedule(fitted):
    _, done = fitted
    total, peak = done.steps, 1e-3
    warm = -(-total * 3 // 100)  # 3 % of the steps, rounded up
    rate = [peak * min(s / warm, (total - s) / max(1, total - warm)) for s in range(total)]
    each = total // 3
    expected = [np.mean(rate[i * each : (i + 1) * each]) for i in range(3)]
    np.testing.assert_allclose([c.mean_learning_rate for c in done.checkpoints], expected)


def test_the_warm_up_repeats_to_the_byte_and_does_not_look_at_the_pools_order(fitted):
    home, done = fitted
    pool = tables.read("pool", home / "pool.parquet").sample(fraction=1, shuffle=True, seed=1)
    tables.write("pool", numbered(pool), home / "pool.parquet")
    again = fit(home, home / "two")
    for one, other in zip(done.checkpoints, again.checkpoints, strict=True):
        for path in one.folder.iterdir():
            assert path.read_bytes() == (other.folder / path.name).read_bytes(), path.name
    another = fit(home, home / "three", seed=1)
    assert another.rows != done.rows or another.tokens != done.tokens


def test_a_warm_up_that_was_killed_ends_with_the_same_bytes(fitted, monkeypatch):
    home, done = fitted
    pool = tables.read("pool", home / "pool.parquet")
    monkeypatch.setitem(DEFAULTS, "save_steps", 2)
    out = home / "killed"

    def killed(net, tokenizer, optimizer, folder):
        if folder.name == ".01":
            raise KeyboardInterrupt
        save(net, tokenizer, optimizer, folder)

    from dataselect.reference import warmup as module

    save = module.save
    monkeypatch.setattr(module, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(home, out)
    assert [path.name for path in sorted(out.glob("checkpoints/*"))] == [".01", "00"]
    assert list(out.glob("checkpoint-*"))  # the trainer's, to go on from
    monkeypatch.setattr(module, "save", save)
    again = fit(home, out, exist_ok=True)
    assert again.tokens == done.tokens
    for one, other in zip(done.checkpoints, again.checkpoints, strict=True):
        assert one.mean_learning_rate == other.mean_learning_rate
        for path in one.folder.iterdir():
            assert path.read_bytes() == (other.folder / path.name).read_bytes(), path.name
    assert pool.height == 48
    assert snapshots.snapshot_steps(done.steps, 3)[-1] == done.steps


def test_modules_that_the_model_has_not_are_named(fitted):
    home, _ = fitted
    with pytest.raises(InputError, match=r"lora_modules .*query_key_value.*gate_proj, k_proj"):
        fit(home, home / "wrong", lora_modules=["query_key_value"])


def test_features_look_with_every_checkpoint_and_weigh_by_its_rate(fitted):
    _, done = fitted
    rows = pl.read_parquet(GOLDEN / "queries.parquet").head(3)
    compute = gradients(MODEL, done.checkpoints, dims=64)
    told = []
    found = compute(rows["messages"].to_list(), "queries", lambda *cost: told.append(cost))
    assert found["gradients"].shape == (3, 3, 64)
    np.testing.assert_allclose(np.linalg.norm(found["gradients"], axis=2), 1, atol=2e-3)
    rates = np.asarray([c.mean_learning_rate for c in done.checkpoints])
    np.testing.assert_allclose(found["weight"], [rates / rates.sum()] * 3, rtol=1e-6)
    one, two = found["gradients"][:, 0], found["gradients"][:, 2]
    assert np.abs(one - two).max() > 0.01
    assert sum(cost[0] for cost in told) == 3


def test_a_row_without_a_response_has_no_gradient(checkpoint):
    rows = [
        [{"role": "user", "content": "hello"}],
        [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}],
    ]
    compute = gradients(MODEL, [checkpoint], dims=32)
    found = compute(rows, "pool", lambda *_: None)["gradients"]
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


@pytest.mark.parametrize(("kind", "dims"), [("none", 8), ("srht", 2**20), ("rademacher", 8)])
def test_shards_are_equally_wide_whatever_is_in_them(checkpoint, kind, dims):
    rows = [[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], [
        {"role": "user", "content": "q"}]]  # fmt: skip
    compute = gradients(MODEL, [checkpoint], dims=dims, projection=kind)
    both = [compute([row], "pool", lambda *_: None)["gradients"] for row in rows]
    assert both[0].shape == both[1].shape
    assert np.isnan(both[1]).all()
