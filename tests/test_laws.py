"""Laws that hold for every method: what may not change a row's score, and what must repeat.

A law that fails means that a selection depends on something that is not the data: the order of
the rows, how they were batched or sharded, or which other queries there were.

Features are computed once per law and kind of feature, not once per method: methods that share
features, and run on the same worker of xdist, share a scratch folder.
"""

import json
import sys

import numpy as np
import polars as pl
import pytest

from dataselect.api import choose
from dataselect.data import files, tables
from dataselect.plan.run import plan
from tests.helpers import GOLDEN, complete, small_methods

pytestmark = pytest.mark.slow

METHODS = small_methods()
#: An aggregator that no line of methods.yaml names.
MEAN = "rds, mean over tasks"
METHODS[MEAN] = {**METHODS["rds"], "aggregator": "mean_over_tasks"}

#: Methods for which rows of one response ("No") are equal: of those the pool's order decides, or
#: the last bits of their batches.
TIED = {"rds_response_only"}
#: Methods of which a larger budget does not begin with the smaller: shares grow for all groups.
SHARING = {"s2l", "s2l_published"}
#: Methods of another's parts, with other settings.
VARIANTS = {"rds_last_token", "rds_mean", "rds_prompt_only", "rds_response_only", "mid_ppl",
            "middle_ppl", "ifd_bfloat16", "embed_minilm", "embed_nv", "less_srht",
            "s2l_published", "less_rademacher", "high_learnability"}  # fmt: skip
ROWS = 48  # of the golden pool: enough for every source, seconds for every method


def short(rows):
    """Rows whose response no law's `max_tokens` cuts off."""
    characters = pl.col("messages").list.eval(pl.element().struct["content"].str.len_chars())
    return rows.filter(characters.list.sum() < 700)


@pytest.fixture(scope="module")
def pool():
    return short(pl.read_parquet(GOLDEN / "pool.parquet")).head(ROWS)


@pytest.fixture(scope="module")
def queries():
    rows = short(pl.read_parquet(GOLDEN / "queries.parquet"))
    return complete("queries", rows).group_by("task", maintain_order=True).head(2)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """The parent of the scratch folders: one for each way in which features are computed."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture
def home(in_scratch, scratch, monkeypatch):
    """A folder of its own for each test; `run` chooses the scratch folder."""
    monkeypatch.setattr(sys.modules[__name__], "SCRATCH", scratch)
    return in_scratch


SCRATCH = None


def by_features():
    """The methods, grouped by what they measure."""
    for name, method in METHODS.items():
        key = json.dumps([method.get(word) for word in ("reference", "features", "model")])
        marks = [pytest.mark.xdist_group(f"laws {key}")]
        marks += [pytest.mark.torture] if name in VARIANTS else []
        yield pytest.param(name, marks=marks)


every_method = pytest.mark.parametrize("method", list(by_features()))


def sections(method, home, seed=0, budget=12, groups="auto"):
    """The plan for a method over files that only need to be there."""
    (home / "any.parquet").touch()
    source = {"path": str(home / "any.parquet")}
    params = {
        **dict.fromkeys(("pool", "queries", "tests"), source),
        "method": method,
        "budget": budget,
        "seed": seed,
        "groups": groups,
        "model": {"name": str(GOLDEN / "tiny-llama"), "dtype": "float32", "max_tokens": 512},
    }
    return plan(params, METHODS)


def run(method, pool, queries, home, name, shard_rows=None, scratch="shared", **choices):
    """From tables to a selection, as the stages do it: scores, groups and selection.

    Args:
        scratch: where features are kept; under another name they are computed again.
    """
    out = home / name
    sections_ = sections(method, home, **choices)
    table = pool.drop("row", strict=False).with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", table, out / "pool.parquet")
    tables.write("queries", queries, out / "queries.parquet")
    tables.write("dropped", tables.empty("dropped"), out / "dropped.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "scratch_folder", lambda: SCRATCH / scratch)
        selection = choose(sections_, out, shard_rows)
    scores = tables.read("scores", out / "scores.parquet")
    return scores, tables.read("groups", out / "groups.parquet"), selection


def by_id(scores):
    ordered = scores.sort("id")
    return ordered["id"].to_list(), ordered["score"].to_numpy()


def rounding(method):
    """What batches may change of a score: gradients are stored as float16, of 256 numbers here."""
    return 2e-5 if method.startswith("less") else 2e-6


def alike(first, second, atol):
    ids, left = by_id(first)
    other_ids, right = by_id(second)
    assert ids == other_ids
    np.testing.assert_allclose(left, right, atol=atol)


def same_rows(method, first, second):
    """The same rows in the same order; of equal ones as many."""
    if method in TIED:
        np.testing.assert_allclose(first["score"], second["score"], atol=rounding(method))
    else:
        assert first["id"].to_list() == second["id"].to_list()


@every_method
def test_permuting_the_pool_permutes_the_scores(method, pool, queries, home):
    shuffled = pool.sample(fraction=1, shuffle=True, seed=7)
    scores, _, selection = run(method, pool, queries, home, "as_is")
    other_scores, _, other = run(method, shuffled, queries, home, "shuffled")
    alike(scores, other_scores, rounding(method))
    same_rows(method, selection, other)


@every_method
def test_slicing_the_queries_changes_no_other_column(method, pool, queries, home):
    if "groups" not in sections(method, home).score.scorer.settings:
        pytest.skip("uses no queries")
    scores, groups, _ = run(method, pool, queries, home, "all", groups="queries")
    kept = queries.filter(pl.col("task") != queries["task"][0])
    fewer, fewer_groups, _ = run(method, pool, kept, home, "fewer", groups="queries")
    columns = groups["name"].is_in(fewer_groups["name"].implode()).to_numpy()
    _, whole = by_id(scores)
    _, sliced = by_id(fewer)
    np.testing.assert_allclose(whole[:, columns], sliced, atol=rounding(method))


@every_method
def test_batches_and_shards_change_nothing(method, pool, queries, home, monkeypatch):
    scores, _, selection = run(method, pool, queries, home, "together")
    one_by_one = lambda lengths, *_, **__: [[row] for row in range(len(lengths))]  # noqa: E731
    monkeypatch.setattr("dataselect.models.batches.batches", one_by_one)
    other_scores, _, other = run(method, pool, queries, home, "apart", 7, scratch="apart")
    alike(scores, other_scores, rounding(method))
    same_rows(method, selection, other)


@every_method
def test_same_seed_same_bytes(method, pool, queries, home):
    for name in ("one", "two"):
        run(method, pool, queries, home, name, seed=3, scratch=name)
    for table in ("scores", "groups", "selection"):
        paths = [home / name / f"{table}.parquet" for name in ("one", "two")]
        assert paths[0].read_bytes() == paths[1].read_bytes(), table
    texts = [(home / name / "train.jsonl").read_bytes() for name in ("one", "two")]
    assert texts[0] == texts[1]


@every_method
def test_the_seed_matters_where_a_method_draws(method, pool, queries, home):
    _, _, one = run(method, pool, queries, home, "one", seed=1)
    _, _, two = run(method, pool, queries, home, "two", seed=2)
    planned = sections(method, home)
    draws = "seed" in planned.score.scorer.settings or planned.reference.reference is not None
    assert (one["id"].to_list() != two["id"].to_list()) == draws


@every_method
def test_a_larger_budget_contains_the_smaller(method, pool, queries, home):
    _, _, small = run(method, pool, queries, home, "small", budget=6)
    _, _, large = run(method, pool, queries, home, "large", budget=15)
    if method in SHARING:
        pytest.skip("a larger budget changes the shares of sources and clusters")
    assert large["id"].to_list()[:6] == small["id"].to_list()


@every_method
def test_a_selection_holds_what_it_says(method, pool, queries, home):
    scores, groups, selection = run(method, pool, queries, home, "one")
    assert selection.height == 12
    assert selection["row"].n_unique() == 12
    matrix = scores["score"].to_numpy()
    rows, chosen_by = selection["row"].to_numpy(), selection["group"].to_numpy()
    columns = chosen_by
    if scores["group"].null_count() == 0:  # every row is in one group only
        assert (scores["group"].to_numpy()[rows] == chosen_by).all()
        columns = np.zeros_like(chosen_by)
    expected = matrix[rows, columns]
    if method == MEAN:
        assert (columns == matrix[rows].argmax(axis=1)).all()
        expected = matrix[rows].mean(axis=1, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(expected, selection["score"].to_numpy())
    assert np.isfinite(expected).all()
    assert selection["group"].is_in(groups["group"].implode()).all()
