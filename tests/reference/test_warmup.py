"""LESS's warm-up: a checkpoint per epoch with its moments, that repeats and resumes to the byte."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from dataselect.data import tables
from dataselect.data.checksums import SEAL
from dataselect.data.scores import PoolInfo, Rows
from dataselect.models.chat import load_chat
from dataselect.numerics.draws import derived_seed, shuffled_rows
from dataselect.reference import warmup as module
from dataselect.reference.warmup import warmup
from dataselect.score.random import random
from tests.helpers import GOLDEN, MODEL, mistake
from tests.reference import checkpoint_bytes, write_pool

SHORT = replace(MODEL, max_tokens=256)
SETTINGS = {"share": 0.5, "epochs": 3, "batch_size": 4, "learning_rate": 1e-3, "seed": 0}
SETTINGS |= {"lora_rank": 4, "lora_alpha": 8, "micro_batch_size": 2}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a pool of 48 golden rows."""
    home = tmp_path_factory.mktemp("warmup")
    write_pool(home / "pool.parquet", 48)
    return home


def fit(home, name, **changes):
    (home / name).mkdir(exist_ok=True)
    return warmup(**{**SETTINGS, **changes}).fit(SHORT, home / "pool.parquet", home / name)


@pytest.fixture(scope="module")
def fitted(home):
    """A warm-up of three epochs on 24 of the rows."""
    return fit(home, "first")


@pytest.mark.slow
def test_a_checkpoint_per_epoch_with_moments_by_name(home, fitted):
    assert [checkpoint.folder.name for checkpoint in fitted.checkpoints] == ["00", "01", "02"]
    pool = tables.read("pool", home / "pool.parquet")
    encoded = load_chat(SHORT).encode(pool["messages"].to_list())
    seed = derived_seed(0, "warm-up")
    half = shuffled_rows(pool["id"].to_list(), seed, "rows of the warm-up")[:24]
    kept = [encoded[row] for row in half if encoded[row].has_response]
    assert fitted.rows == len(kept)
    assert fitted.tokens == 3 * sum(len(row.ids) for row in kept)
    assert fitted.steps == 3 * -(-fitted.rows // 4)
    before = None
    for checkpoint in fitted.checkpoints:
        files = {path.name for path in checkpoint.folder.iterdir()} - {SEAL}
        assert files == {"adapter_config.json", "adapter_model.safetensors", "adam.safetensors"}
        adapters = load_file(checkpoint.folder / "adapter_model.safetensors")
        moments = load_file(checkpoint.folder / "adam.safetensors")
        inside = {name: name.replace(".weight", ".default.weight") for name in adapters}
        expected = {f"{m}.{name}" for m in ("exp_avg", "exp_avg_sq") for name in inside.values()}
        assert set(moments) == expected
        for name, tensor in adapters.items():
            second = moments[f"exp_avg_sq.{inside[name]}"]
            assert second.shape == tensor.shape
            assert (second >= 0).all()
        config = json.loads((checkpoint.folder / "adapter_config.json").read_text())
        assert str(GOLDEN) not in str(config)
        assert config["target_modules"] == sorted(module.MODULES)  # peft's order is a set's
        now = adapters[min(adapters)]
        assert before is None or not torch.equal(before, now)
        before = now


@pytest.mark.slow
def test_mean_learning_rates_are_those_of_the_schedule(fitted):
    total, peak = fitted.steps, 1e-3
    warm = -(-total * 3 // 100)  # 3 % of the steps, rounded up
    rate = [peak * min(s / warm, (total - s) / max(1, total - warm)) for s in range(total)]
    steps = total // 3
    expected = [np.mean(rate[i * steps : (i + 1) * steps]) for i in range(3)]
    rates = [checkpoint.mean_learning_rate for checkpoint in fitted.checkpoints]
    np.testing.assert_allclose(rates, expected)


@pytest.mark.slow
def test_it_repeats_to_the_byte_in_any_order_of_the_pool(home, fitted, tmp_path):
    pool = tables.read("pool", home / "pool.parquet").sample(fraction=1, shuffle=True, seed=1)
    write_pool(tmp_path / "pool.parquet", pool)
    again = fit(tmp_path, "again")
    assert checkpoint_bytes(again) == checkpoint_bytes(fitted)
    other = fit(tmp_path, "other", seed=1)
    assert other.rows != fitted.rows or other.tokens != fitted.tokens


@pytest.mark.slow
def test_a_killed_warm_up_ends_with_the_same_bytes(home, fitted, monkeypatch):
    reference = warmup(**SETTINGS)
    often = replace(reference.recipe, save_steps=2)
    monkeypatch.setattr(module, "Recipe", lambda **settings: often)
    save = module.save_adapters

    def killed(net, tokenizer, optimizer, folder):
        if folder.name == ".01":
            raise KeyboardInterrupt
        save(net, tokenizer, optimizer, folder)

    monkeypatch.setattr(module, "save_adapters", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(home, "killed")
    out = home / "killed"
    assert [path.name for path in sorted(out.glob("checkpoints/*"))] == [".01", "00"]
    assert list(out.glob("checkpoint-*"))  # the trainer's, to resume from
    monkeypatch.setattr(module, "save_adapters", save)
    resumed = fit(home, "killed")
    assert resumed[1:] == fitted[1:]
    rates = [[c.mean_learning_rate for c in done.checkpoints] for done in (resumed, fitted)]
    assert rates[0] == rates[1]
    assert checkpoint_bytes(resumed) == checkpoint_bytes(fitted)


def test_modules_that_the_model_has_not_are_named(home):
    message = mistake(fit, home, "wrong", lora_modules=["query_key_value"])
    assert "lora_modules (of the method in methods.yaml" in message
    assert "no layer called query_key_value" in message


def test_its_contract():
    reference = warmup(seed=3, share=0.1, epochs=2, batch_size=12, micro_batch_size=8)
    assert (reference.produces, reference.checkpoints) == ("adapters", 2)
    assert [reference.rows_passed(rows) for rows in (5, 100)] == [2.0, 20.0]
    recipe = reference.recipe
    assert (recipe.method, recipe.lora_modules) == ("lora", list(module.MODULES))
    assert recipe.seed == derived_seed(3, "warm-up")
    assert (recipe.batch_size, recipe.micro_batch_size) == (12, 4)
    assert warmup(seed=0, lora_modules="all-linear").recipe.lora_modules == "all-linear"


def test_at_least_one_row_is_fitted_on(tmp_path):
    pool = pl.read_parquet(GOLDEN / "pool.parquet").head(3)
    write_pool(tmp_path / "pool.parquet", pool)
    done = fit(tmp_path, "few", share=0.01, epochs=1)
    assert (done.rows, done.steps) == (1, 1)


def test_the_warm_up_does_not_sample_the_rows_that_random_chooses(tmp_path, monkeypatch):
    ids = [f"row {number}" for number in range(10_000)]
    pl.DataFrame({"id": ids}).write_parquet(tmp_path / "pool.parquet")
    sampled = []
    monkeypatch.setattr(
        module, "fit_with_snapshots", lambda model, pool, rows, *others: sampled.extend(rows)
    )
    monkeypatch.setattr(module, "row_count", lambda pool: len(ids))
    warmup(seed=0, share=0.05).fit(SHORT, tmp_path / "pool.parquet", tmp_path)
    scorer = random(seed=0).prepare(PoolInfo(len(ids), ["s"]), None)
    chosen = np.argsort(-scorer.score(Rows(ids, ["s"] * len(ids)))[:, 0])[:500]
    assert len(sampled) == 500
    assert len(set(sampled) & set(chosen.tolist())) < 60  # 25 of two independent samples
