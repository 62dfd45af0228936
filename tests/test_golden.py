"""Our numbers against the published code's, on real rows (tests/golden/README.md says whose)."""

import json

import numpy as np
import polars as pl
import pytest

from dataselect.aggregate.round_robin import round_robin
from dataselect.aggregate.top import top
from dataselect.compute import no_progress
from dataselect.data.scores import Pool, PoolInfo, Queries, Rows
from dataselect.embed.hidden_states import hidden_states
from dataselect.embed.losses import losses
from dataselect.models.chat import load_chat
from dataselect.score import RowScorer
from dataselect.score.cosine import cosine
from dataselect.score.ifd import ifd
from dataselect.score.perplexity import perplexity
from tests.helpers import GOLDEN, MODEL, columns

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("golden")]

POOLINGS = ["weighted_mean", "mean", "last_token"]


@pytest.fixture(scope="module")
def pool():
    return pl.read_parquet(GOLDEN / "pool.parquet")


@pytest.fixture(scope="module")
def queries():
    return pl.read_parquet(GOLDEN / "queries.parquet")


@pytest.fixture(scope="module")
def vectors(pool, queries):
    """Our vectors of the pool and of the queries, by pooling."""
    found = {}
    for pooling in POOLINGS:
        featurizer = hidden_states(pooling=pooling, over="all").load(MODEL, [])
        found[pooling] = [
            featurizer(frame["messages"].to_list(), side, no_progress)
            for frame, side in ((pool, "pool"), (queries, "queries"))
        ]
    return found


@pytest.fixture(scope="module")
def selections():
    return json.loads((GOLDEN / "selections.json").read_text())


def scores(pool, queries, vectors, task=None, pooling="weighted_mean"):
    """Our score matrix, for one task's queries or for all tasks."""
    features, query_features = vectors[pooling]
    chosen = queries.with_row_index().filter(pl.col("task") == task if task else pl.lit(True))
    table = Queries(
        chosen["task"].to_list(),
        chosen["id"].to_list(),
        {"vectors": query_features["vectors"][chosen["index"].to_numpy()]},
    )
    prepared = cosine(groups="auto").prepare(PoolInfo(pool.height, []), table)
    block = prepared.score(rows_of(pool, features))
    return block, [group.name for group in prepared.groups]


def rows_of(pool, features):
    return Rows(pool["id"].to_list(), pool["source"].to_list(), features)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_embeddings_agree(vectors, pooling):
    golden = np.load(GOLDEN / "rds.npz")[f"embedding/{pooling}"]
    ours = vectors[pooling][0]["vectors"]
    assert ours.dtype == np.float32
    assert np.abs(ours - golden).max() < 1e-5


@pytest.mark.parametrize("pooling", POOLINGS)
def test_cosines_agree(pool, queries, vectors, pooling):
    golden = np.load(GOLDEN / "rds.npz")
    for task in queries["task"].unique():
        ours, _ = scores(pool, queries, vectors, task, pooling)
        assert np.abs(ours.T - golden[f"cosine/{pooling}/{task}"]).max() < 1e-5


def test_single_task_selections_are_the_same_lists(pool, queries, vectors, selections):
    for task, golden in selections["single_task_round_robin"].items():
        matrix, _ = scores(pool, queries, vectors, task)
        picks = round_robin(lambda matrix=matrix: [matrix], columns(matrix.shape[1]), len(golden))
        assert pool["id"].gather(picks.rows).to_list() == golden, task


def test_multi_task_selection_is_the_same_list(pool, queries, vectors, selections):
    matrix, names = scores(pool, queries, vectors)
    order = [names.index(task) for task in selections["multi_task_order"]]
    golden = selections["multi_task_round_robin"]
    picks = round_robin(lambda: [matrix[:, order]], columns(len(order)), len(golden))
    assert pool["id"].gather(picks.rows).to_list() == golden


@pytest.fixture(scope="module")
def golden_losses(pool):
    losses = pl.read_parquet(GOLDEN / "losses.parquet")
    return pool.select("id").join(losses, on="id", how="left", maintain_order="left")


@pytest.fixture(scope="module")
def our_losses(pool):
    featurizer = losses(direct=True).load(MODEL, [])
    return featurizer(pool["messages"].to_list(), "pool", no_progress)


def test_token_counts_agree(pool, golden_losses):
    encoded = load_chat(MODEL).encode(pool["messages"].to_list())
    counts = [int(row.response.sum()) for row in encoded]
    assert [len(row.ids) for row in encoded] == golden_losses["n_tokens"].to_list()
    assert counts == golden_losses["n_response_tokens"].to_list()


def test_losses_agree(our_losses, golden_losses):
    for ours, golden in (("whole_nll", "full_nll"), ("response_nll", "response_nll")):
        expected = golden_losses[golden].to_numpy()
        np.testing.assert_allclose(our_losses[ours], expected, rtol=1e-4, err_msg=golden)
    single = golden_losses["direct_nll"].is_not_null().to_numpy()
    expected = golden_losses["direct_nll"].to_numpy()
    np.testing.assert_allclose(our_losses["direct_nll"][single], expected[single], rtol=1e-4)


def pool_scores(scorer, pool, features):
    """The scores of a scorer that uses no queries."""
    info, rows = PoolInfo(pool.height, []), rows_of(pool, features)
    if isinstance(scorer, RowScorer):
        return scorer.prepare(info, None).score(rows)
    return np.concatenate(list(scorer.score(Pool(info, iter([rows]))).blocks))


@pytest.mark.parametrize(("method", "best"), [("top_ppl", "highest"), ("mid_ppl", "from_rank")])
def test_perplexity_selections_are_the_same_lists(pool, our_losses, selections, method, best):
    scores = pool_scores(perplexity(best=best), pool, our_losses)
    golden = selections[method]
    picks = top(lambda: [scores], columns(1), len(golden))
    assert pool["id"].gather(picks.rows).to_list() == golden


def test_ifd_ratios_and_their_order_agree(pool, our_losses, golden_losses):
    ours = pool_scores(ifd(), pool, our_losses)
    golden = golden_losses["response_nll"].to_numpy() / golden_losses["direct_nll"].to_numpy()
    usable = np.isfinite(golden) & (golden <= 1) & np.isfinite(ours[:, 0])
    assert usable.sum() > 50
    np.testing.assert_allclose(ours[usable, 0], golden[usable], rtol=1e-4)
    order = np.argsort(-golden[usable], kind="stable")
    assert (np.argsort(-ours[usable, 0], kind="stable") == order).all()
    assert not np.isfinite(ours[golden > 1, 0]).any()  # the instruction hurts: no candidate
