"""Every line of methods.yaml chooses what its paper says: against plain sorts of plain numbers."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import yaml

from dataselect.api import choose
from dataselect.compute import no_progress
from dataselect.data import tables
from dataselect.data.checkpoints import read_checkpoints
from dataselect.data.shards import read_all
from dataselect.embed.losses import losses
from dataselect.plan.run import plan
from tests.helpers import GOLDEN, MODEL, ROOT, small_methods

pytestmark = pytest.mark.slow

BUDGET = 40
WHOLE = yaml.safe_load((ROOT / "methods.yaml").read_text())


@pytest.fixture(scope="module")
def golden():
    """The golden pool with the published losses beside it."""
    pool = pl.read_parquet(GOLDEN / "pool.parquet")
    losses = pl.read_parquet(GOLDEN / "losses.parquet")
    return pool.join(losses, on="id", how="left", maintain_order="left")


def chosen(home, rows, method, methods=WHOLE):
    """Ids in the order of choice, and the pool's features."""
    (home / "any.parquet").touch()
    source = {"path": str(home / "any.parquet")}
    sections = plan(
        {
            **dict.fromkeys(("pool", "queries", "tests"), source),
            "method": method,
            "budget": BUDGET,
            "model": {"name": str(GOLDEN / "tiny-llama"), "dtype": "float32"},
            "train": {"threads": 1, "micro_batch_size": 8},
        },
        methods,
    )
    pool = rows.select("id", "source", "messages").with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", pool, home / "out/pool.parquet")
    tables.write("queries", tables.empty("queries"), home / "out/queries.parquet")
    tables.write("dropped", tables.empty("dropped"), home / "out/dropped.parquet")
    out = home / "out"
    selection = choose(sections, out)
    measured = read_all(out / "features/pool") if sections.embed.features else {}
    return selection["id"].to_list(), measured


def by(rows, values, descending=True):
    """Ids by a number, the best first; rows whose number is not finite are left out."""
    values = np.asarray(values, dtype=np.float64)
    usable = np.flatnonzero(np.isfinite(values))
    order = usable[np.argsort(-values[usable] if descending else values[usable], kind="stable")]
    return rows["id"].gather(order).to_list()


def test_methods_of_losses_and_lengths_are_sorts_of_the_published_numbers(golden, in_scratch):
    full = by(golden, golden["full_nll"])
    assert chosen(in_scratch, golden, "top_ppl")[0] == full[:BUDGET]
    start = int(0.33 * len(full))
    assert chosen(in_scratch, golden, "mid_ppl")[0] == full[start : start + BUDGET]
    nll = golden["response_nll"].to_numpy()
    middle = np.sort(nll[np.isfinite(nll)])[(np.isfinite(nll).sum() - 1) // 2]
    ids, features = chosen(in_scratch, golden, "middle_ppl")
    assert ids == by(golden, np.abs(nll - middle), descending=False)[:BUDGET]
    ids, _ = chosen(in_scratch, golden, "least_confidence")
    assert ids == by(golden, features["probability"], descending=False)[:BUDGET]


def test_the_longest_rows_are_longest_before_any_cut(golden, in_scratch):
    ids, features = chosen(in_scratch, golden, "longest")
    short = features["tokens"] < 2048
    counted = golden["n_tokens"].to_numpy()
    np.testing.assert_array_equal(features["tokens"][short], counted[short])
    assert ids == by(golden, features["tokens"])[:BUDGET]
    assert features["tokens"].max() > 2048


def test_ifd_takes_the_highest_ratio_that_is_not_above_1_of_whole_rows(golden, in_scratch):
    ids, features = chosen(in_scratch, golden, "ifd_base")
    ratio = features["response_nll"] / features["direct_nll"]
    ratio[(ratio > 1) | (golden["n_tokens"].to_numpy() >= 2048)] = np.nan
    assert ids == by(golden, ratio)[:BUDGET]


def test_ifd_measures_with_the_pre_experienced_model(golden, in_scratch):
    methods = small_methods()
    few = {"clusters": 4, "per_cluster": 3, "batch_size": 4, "learning_rate": 5e-3}
    methods["ifd"]["reference"] = {"experienced": few}
    rows = golden.head(100)
    _, features = chosen(in_scratch, rows, "ifd", methods)
    (checkpoint,) = read_checkpoints(in_scratch / "out/reference")
    messages = rows["messages"].to_list()
    feature = losses(direct=True)
    fitted = replace(MODEL, name=str(checkpoint.folder))
    expected = feature.load(fitted, [])(messages, "pool", no_progress)
    np.testing.assert_allclose(features["response_nll"], expected["response_nll"], rtol=1e-6)
    base = feature.load(MODEL, [])(messages, "pool", no_progress)
    assert np.nanmean(features["response_nll"]) < np.nanmean(base["response_nll"]) - 0.05
    assert str(ROOT) not in (in_scratch / "out/reference/reference.json").read_text()


def test_learnability_and_curriculum_use_the_change_over_training(golden, in_scratch):
    rows, methods = golden.head(60), small_methods()
    ids, features = chosen(in_scratch, rows, "high_learnability", methods)
    course = np.column_stack([features["before_nll"], features["nll"]])
    assert (np.diff(np.nanmean(course, axis=0)) < 0).all()  # checkpoints in training order
    fell = features["before_nll"].astype(np.float64) - features["nll"][:, -1]
    assert ids == by(rows, fell)[:BUDGET]
    ids, _ = chosen(in_scratch, rows, "confidence_curriculum", methods)
    course = np.column_stack([features["before_probability"], features["probability"]])
    usable = np.isfinite(course).all(axis=1)
    slope = np.full(len(course), np.nan)
    slope[usable] = np.polyfit(np.arange(course.shape[1]), course[usable].T, 1)[0]
    assert ids == by(rows, slope, descending=False)[:BUDGET]


def test_balanced_random_has_equal_shares_and_random_has_not(golden, in_scratch):
    def counts(method):
        ids = chosen(in_scratch, rows, method)[0]
        picked = rows.filter(pl.col("id").is_in(ids)).group_by("source").agg(chosen=pl.len())
        whole = rows.group_by("source").agg(in_pool=pl.len())
        return whole.join(picked, on="source", how="left").fill_null(0)

    kept = golden["source"].value_counts(sort=True).head(8)["source"]
    rows = golden.filter(pl.col("source").is_in(kept.implode()))
    assert counts("random_balanced")["chosen"].to_list() == [BUDGET // 8] * 8
    assert counts("random")["chosen"].n_unique() > 1


def test_published_settings_are_the_defaults():
    """What the papers' recipes say, as FACTS has it, where a line of methods.yaml leaves it out."""
    params = {
        **{name: {"path": str(ROOT / "params.yaml")} for name in ("pool", "queries", "tests")},
        "budget": 10,
        "model": {"name": str(GOLDEN / "tiny-llama")},
    }
    sections = {m: plan({**params, "method": m}, WHOLE) for m in ("less", "ifd", "s2l", "rds")}
    less = sections["less"].reference.reference.settings
    assert {k: less[k] for k in ("share", "epochs", "lora_rank", "lora_alpha", "lora_dropout")} == {
        "share": 0.05, "epochs": 4, "lora_rank": 128, "lora_alpha": 512, "lora_dropout": 0.1,
    }  # fmt: skip
    assert (less["learning_rate"], less["batch_size"], less["warmup"]) == (2e-5, 128, 0.03)
    assert list(less["lora_modules"]) == ["q_proj", "k_proj", "v_proj", "o_proj"]
    gradients = sections["less"].embed.features.settings
    assert (gradients["dims"], gradients["projection"]) == (8192, "srht")
    assert (gradients["beta1"], gradients["beta2"], gradients["epsilon"]) == (0.9, 0.999, 1e-8)
    ifd = sections["ifd"].reference.reference.settings
    assert (ifd["clusters"], ifd["per_cluster"], ifd["low"], ifd["high"]) == (100, 10, 25, 75)
    assert (ifd["epochs"], ifd["learning_rate"]) == (1, 2e-5)
    s2l = sections["s2l"].reference.reference.settings
    assert (s2l["epochs"], s2l["checkpoints"], s2l["schedule"]) == (3, 12, "cosine")
    assert (s2l["learning_rate"], s2l["warmup"]) == (2e-5, 0.03)
    assert sections["s2l"].reference.model.max_tokens == 512
    assert sections["s2l"].score.scorer.settings["count"] == 100
    assert sections["s2l"].score.scorer.settings["iterations"] == 20
    assert sections["rds"].embed.features.settings == {
        "pooling": "weighted_mean",
        "over": "all",
        "unit": True,
    }
