"""The estimate: what it carries over is what a run of the whole does."""

import json
import random

import polars as pl
import pytest
import yaml

from dataselect.data import tables
from dataselect.dedup.settings import PoolRules
from dataselect.embed.run import embed
from dataselect.errors import InputError
from dataselect.plan import estimate
from dataselect.plan.estimate import Cost
from dataselect.plan.run import plan
from dataselect.plan.sample import sample_pool
from dataselect.reference.run import fit_reference
from tests.helpers import GOLDEN, MODEL, ROOT, complete, mistake, run, small_methods

PARAMS = {
    "pool": {"path": "pool.parquet"},
    "queries": {"path": "queries.parquet", "tasks": "all"},
    "tests": {"path": "pool.parquet"},
    "budget": 20,
    "model": {"name": MODEL.name, "dtype": "float32", "max_tokens": 128},
    "train": {"batch_size": 8, "epochs": 2, "threads": 1},
    "eval": {"max_new_tokens": 8},
}


@pytest.fixture
def out(in_scratch):
    """Forty golden rows as the pool, and four as queries."""
    frame = pl.read_parquet(GOLDEN / "pool.parquet").head(40).drop("row", strict=False)
    numbered = frame.with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", numbered, in_scratch / "pool.parquet")
    queries = complete("queries", frame.head(4).with_columns(task=pl.lit("t")))
    tables.write("queries", queries, in_scratch / "queries.parquet")
    tables.write("dropped", tables.empty("dropped"), in_scratch / "dropped.parquet")
    return in_scratch


@pytest.mark.parametrize("method", [
    "rds", "s2l", "random",
    pytest.param("less", marks=pytest.mark.torture), pytest.param("ifd", marks=pytest.mark.torture),
])  # fmt: skip
@pytest.mark.slow
def test_of_the_whole_pool_it_counts_what_a_run_counts(method, out):
    sections = plan({**PARAMS, "method": method}, small_methods())
    (out / "measured").mkdir()
    for name in ("pool", "queries"):
        (out / f"measured/{name}.parquet").write_bytes((out / f"{name}.parquet").read_bytes())
    costs = estimate.estimate(sections, 40, out / "measured")
    fitted = fit_reference(
        sections.reference, out / "pool.parquet", out / "dropped.parquet", out / "reference"
    ).fitted
    done = embed(sections.embed, out)
    if fitted:
        assert costs["reference"].flops == pytest.approx(fitted.flops)
    assert bool(done) == ("embed" in costs)
    if done:
        assert costs["embed"].flops == pytest.approx(sum(d.flops for d in done.values()), rel=0.2)
        size = sum(total.bytes for total in done.values())
        assert costs["embed"].bytes == pytest.approx(size, rel=0.1, abs=1_000 * len(done))  # heads
    assert ("score" in costs) == (method in ("rds", "less", "ifd"))
    assert costs["train"].flops > 0
    twice = estimate.estimate(sections, 80, out / "measured")
    for stage in set(costs) & {"embed", "reference"}:
        assert 1 < twice[stage].flops / costs[stage].flops <= 2.1


@pytest.mark.slow
def test_steps_and_checkpoints_that_the_sample_is_too_small_for(out):
    methods = small_methods()
    few = {"checkpoints": 12, "epochs": 1, "batch_size": 8}  # five steps of the sample
    methods["mine"] = {**methods["s2l"], "reference": {"proxy": few}, "checkpoints": [1, 12]}
    shared = {**PARAMS, "train": {"batch_size": 8, "steps": 6, "threads": 1}}
    costs = estimate.estimate(plan({**shared, "method": "mine"}, methods), 40, out)
    assert costs["embed"].bytes == 40 * 8 * 3
    two_epochs = estimate.estimate(plan({**PARAMS, "method": "random"}, methods), 40, out)
    assert costs["train"].flops == two_epochs["train"].flops  # 20 rows: three steps an epoch


def test_a_sample_is_drawn_evenly_and_without_what_cannot_be_understood(in_scratch):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    rows = [{"id": str(i), "source": "s", "messages": turns} for i in range(2_000)]
    bad = [{"id": "x", "messages": []}] * 50
    mixed = [*rows, *bad]
    random.Random(0).shuffle(mixed)
    (in_scratch / "p.jsonl").write_text("".join(json.dumps(r) + "\n" for r in mixed))
    count, drawn = sample_pool(["p.jsonl"], 500, lambda n: None, PoolRules())
    assert count == 2_050
    assert 480 <= len(drawn) < 500  # 12 of 500 places are of bad rows, on average
    assert [row[0] for row in drawn] == list(range(len(drawn)))
    assert {row[2] for row in drawn} == {"s"}
    places = [int(row[1].split(":")[1]) for row in drawn]
    assert len(set(places)) == len(drawn)
    assert 900 < sum(places) / len(drawn) < 1_150


def test_a_budget_above_the_pool_is_refused_before_anything_is_measured(out):
    sections = plan({**PARAMS, "method": "rds", "budget": 41}, small_methods())
    with pytest.raises(InputError, match="41 rows; the pool has 40"):
        estimate.estimate(sections, 40, out / "nowhere")


@pytest.mark.slow
def test_a_budget_in_tokens_trains_on_so_many(out):
    def flops(tokens):
        budget = {"tokens": tokens}
        sections = plan({**PARAMS, "method": "random", "budget": budget}, small_methods())
        return estimate.estimate(sections, 40, out)["train"].flops

    assert flops(3_000) == pytest.approx(3 * flops(1_000))
    assert flops(10**9) > 0  # a sample cannot tell whether the pool has so many


def test_times():
    assert Cost(1.0, 2.0, 3.0).scaled(2) == (2.0, 4.0, 6.0)


@pytest.mark.slow
def test_a_mistake_is_one_message(in_scratch):
    (in_scratch / "params.yaml").write_text(yaml.safe_dump({**PARAMS, "method": "rdss"}))
    (in_scratch / "methods.yaml").write_text((ROOT / "methods.yaml").read_text())
    done = run("dataselect", "estimate", cwd=in_scratch, check=False)
    assert done.returncode == 1
    assert "Did you mean `rds`?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_memory_of_training_is_refused_before_anything_is_measured(out, monkeypatch):
    settings = {**PARAMS, "method": "random", "train": {"memory": "1MB"}}
    (out / "params.yaml").write_text(yaml.safe_dump(settings))
    (out / "methods.yaml").write_text((ROOT / "methods.yaml").read_text())
    monkeypatch.setattr(estimate, "write_sample", lambda *_: pytest.fail("measured"))
    before = sorted(path.name for path in out.iterdir())
    assert "expected a run that fits into 1.0 MB" in mistake(estimate.main)
    # Hashes of files are remembered; nothing of the run is written.
    assert sorted(path.name for path in out.iterdir() if path.name != ".scratch") == before
