"""The score stage: rows and queries without finite numbers, groups, shards of any size."""

from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file
from threadpoolctl import threadpool_limits

from dataselect.aggregate.run import AggregateSection, select
from dataselect.compute import Engine
from dataselect.data import tables
from dataselect.data.scores import Group, Scores
from dataselect.errors import InputError
from dataselect.score import PoolScorer, Prepared, RowScorer, _memory
from dataselect.score.run import ScoreSection, score
from dataselect.settings import Part
from tests.helpers import table

TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


@pytest.fixture
def out(in_scratch, tmp_path):
    """Six rows of two sources, no features yet."""
    rows = [(i, f"id{i}", "ab"[i % 2], TURNS) for i in range(6)]
    pool = pl.DataFrame(rows, schema=tables.schema("pool"), orient="row")
    queries = [("t", "q0", TURNS, None), ("t", "q1", TURNS, None)]
    frame = table("queries", queries)
    tables.write("pool", pool, tmp_path / "pool.parquet")
    tables.write("queries", frame, tmp_path / "queries.parquet")
    tables.write("dropped", tables.empty("dropped"), tmp_path / "dropped.parquet")
    return tmp_path


def features(out, side, shard=4, **arrays):
    """Writes features in shards of `shard` rows."""
    folder = out / "features" / side
    folder.mkdir(parents=True)
    count = len(next(iter(arrays.values())))
    for number, start in enumerate(range(0, count, shard)):
        part = {
            name: np.asarray(array[start : start + shard], dtype=np.float32)
            for name, array in arrays.items()
        }
        save_file(part, folder / f"{number:05d}.safetensors")


def scored(out, scorer, engine=None, **settings):
    section = ScoreSection(Part(scorer, settings), code="")
    done = score(section, out, out / "features", engine)
    return done, tables.read("scores", out / "scores.parquet")


def selected(out, aggregator, budget):
    return select(AggregateSection(Part(aggregator, {}), budget, code=""), out).table


LENGTHS = {"name": "tokens", "best": "highest"}


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_rows_with_nan_or_infinite_inputs_are_named_and_never_chosen(out, wrong):
    features(out, "pool", tokens=[1, wrong, 3, 4, wrong, 6], other=[np.nan] * 6)
    done, scores = scored(out, "measure", **LENGTHS)
    assert done.unusable == ["id1", "id4"]  # `other` is not an input
    assert np.isneginf(scores["score"].to_numpy()[:, 0]).tolist() == [
        i in (1, 4) for i in range(6)
    ]  # fmt: skip
    assert selected(out, "top", 4)["id"].to_list() == ["id5", "id3", "id2", "id0"]
    with pytest.raises(InputError, match="only 4 of the 6 in the pool are candidates"):
        selected(out, "top", 5)


@pytest.mark.parametrize("scorer", ["cosine", "influence"])
def test_a_query_with_nan_inputs_is_named(out, scorer):
    name = {"cosine": "vectors", "influence": "gradients"}[scorer]
    weight = {"weight": [[1.0]] * 2} if scorer == "influence" else {}
    features(out, "queries", **{name: [[[1.0, 0.0]], [[np.nan, 0.0]]]}, **weight)
    features(out, "pool", **{name: [[[1.0, 0.0]]] * 6})
    with pytest.raises(InputError, match=r"1 queries have NaN or infinite features: q1\. Add"):
        scored(out, scorer, groups="queries")


def test_a_single_group_per_row_is_written_with_its_number(out):
    done, scores = scored(out, "random", seed=0, per="source")
    assert [group.name for group in done.groups] == ["a", "b"]
    assert scores["group"].to_list() == [0, 1, 0, 1, 0, 1]
    assert scores.schema["score"] == pl.Array(pl.Float32, 1)
    chosen = selected(out, "round_robin", 4)
    assert chosen["group"].to_list() == [0, 1, 0, 1]
    assert (chosen["source"] == pl.Series(["a", "b", "a", "b"])).all()


def test_brackets_in_the_name_of_a_folder_are_no_pattern(out):
    folder = out / "run[1]"
    folder.mkdir()
    for path in out.glob("*.parquet"):
        path.rename(folder / path.name)
    done, _ = scored(folder, "random", seed=0, per="source")
    assert done.rows == 6


@pytest.mark.parametrize("shard", [1, 2, 5, 6])
def test_shards_of_any_size_are_read(out, shard):
    features(out, "pool", shard, tokens=[3, 1, 2, 9, 8, 7])
    _, scores = scored(out, "measure", **LENGTHS)
    assert scores["score"].to_numpy()[:, 0].tolist() == [3, 1, 2, 9, 8, 7]
    assert scores["id"].to_list() == [f"id{i}" for i in range(6)]


@pytest.mark.parametrize("shard", [1, 4, 6])
@pytest.mark.parametrize("best", ["from_rank", "median"])
def test_a_scorer_of_the_whole_pool_keeps_the_rows_in_order(out, shard, best):
    features(out, "pool", shard, whole_nll=[3, np.nan, 2, 9, 8, 7])
    done, scores = scored(out, "perplexity", best=best, start=0.2)
    expected = {"from_rank": [3, -np.inf, 2, -np.inf, 8, 7], "median": [-4, -np.inf, -5, -2, -1, 0]}
    assert scores["score"].to_numpy()[:, 0].tolist() == expected[best]
    assert scores["id"].to_list() == [f"id{i}" for i in range(6)]
    assert done.unusable == ["id1"]


def in_this_process(start):
    """An engine that is not of this machine alone: its worker reads everything for itself."""

    @contextmanager
    def opened():
        with threadpool_limits():  # restores what a worker sets
            work = start()
            yield lambda jobs, progress: (work(job, progress) for job in jobs)

    return opened()


@pytest.mark.parametrize("scorer", ["cosine", "random", "coverage"])
def test_an_engine_of_several_machines_gives_the_same_bytes(out, scorer):
    vectors = np.random.default_rng(0).standard_normal((8, 3))
    features(out, "queries", vectors=vectors[:2])
    features(out, "pool", vectors=vectors[2:])
    settings = {
        "cosine": {"groups": "queries"},
        "random": {"seed": 0, "per": "source"},
        "coverage": {"budget": 3},
    }
    names = ("scores.parquet", "groups.parquet")
    scored(out, scorer, **settings[scorer])
    expected = [(out / name).read_bytes() for name in names]
    elsewhere = Engine(in_this_process, one_machine=False, parallel_workers=lambda: 1)
    scored(out, scorer, elsewhere, **settings[scorer])
    assert [(out / name).read_bytes() for name in names] == expected
    here = Engine(in_this_process, one_machine=True, parallel_workers=lambda: 1)
    scored(out, scorer, here, **settings[scorer])
    assert [(out / name).read_bytes() for name in names] == expected


class Wrong:
    """A file of `score`, with scorers that break the contract."""

    @staticmethod
    def nan():
        return RowScorer((), lambda pool, queries: Prepared(
            [Group("pool", None)], lambda rows: np.full((len(rows.id), 1), np.nan)
        ))  # fmt: skip

    @staticmethod
    def short():
        return RowScorer((), lambda pool, queries: Prepared(
            [Group("pool", None)], lambda rows: np.zeros((1, 1), dtype=np.float32)
        ))  # fmt: skip

    @staticmethod
    def lost():
        return PoolScorer((), lambda pool: Scores(
            [Group("pool", None)], (np.zeros((4, 1)) for _ in [*pool.blocks])
        ))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nan", "NaN scores after row 0: a scorer gives −∞ where it has none"),
        ("short", "1 scores for 6 rows after row 0"),
        ("lost", "lost: 4 rows of 6"),
    ],
)
def test_a_scorer_that_breaks_its_contract_ends_the_stage(out, monkeypatch, name, message):
    monkeypatch.setattr("dataselect.score.run.load_part", lambda *_: getattr(Wrong, name)())
    with pytest.raises(ValueError, match=message):
        scored(out, name)


def test_a_scorer_that_holds_more_than_memory_is_refused_before_it_reads(out, monkeypatch):
    features(out, "pool", vectors=np.ones((6, 512)))
    held = 2 * 6 * 512 * 4
    monkeypatch.setattr(_memory, "PROGRAM_BYTES", 0)
    monkeypatch.setattr(_memory, "ROW_BYTES", 0)
    monkeypatch.setattr(_memory, "machine_memory", lambda: held - 1)
    message = "`coverage` holds .* all 6 rows: expected at least 24.6 kB of memory, found 24.6 kB"
    with pytest.raises(InputError, match=message):
        scored(out, "coverage", budget=2)
    assert not (out / "scores.parquet").exists()
    monkeypatch.setattr(_memory, "machine_memory", lambda: held)
    assert scored(out, "coverage", budget=2)[0].rows == 6
