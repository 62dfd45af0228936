"""The score stage: rows that cannot be scored, parts, queries from outside the tests' tasks."""

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from dataselect.aggregate.run import select
from dataselect.data import tables
from dataselect.dedup.tasks import read_queries
from dataselect.embed.run import embed
from dataselect.errors import InputError
from dataselect.models.chat import Chat
from dataselect.models.load import load_tokenizer
from dataselect.score.run import score
from dataselect.train.examples import encode_rows
from tests.helpers import MODEL

TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


@pytest.fixture
def out(in_scratch, tmp_path):
    """Six rows of two sources, no features yet."""
    rows = [(i, f"id{i}", "ab"[i % 2], TURNS) for i in range(6)]
    pool = pl.DataFrame(rows, schema=tables.SCHEMAS["pool"], orient="row")
    queries = [("t", "q0", TURNS, None), ("t", "q1", TURNS, None)]
    frame = pl.DataFrame(queries, schema=tables.SCHEMAS["queries"], orient="row")
    tables.write("pool", pool, tmp_path / "pool.parquet")
    tables.write("queries", frame, tmp_path / "queries.parquet")
    tables.write("dropped", tables.empty("dropped"), tmp_path / "dropped.parquet")
    return tmp_path


def features(out, side, shard=4, **arrays):
    """Writes features in shards of so many rows."""
    folder = out / "features" / side
    folder.mkdir(parents=True)
    count = len(next(iter(arrays.values())))
    for number, start in enumerate(range(0, count, shard)):
        part = {
            name: np.asarray(array[start : start + shard], dtype=np.float32)
            for name, array in arrays.items()
        }
        save_file(part, folder / f"{number:05d}.safetensors")


def scored(out, scorer, **settings):
    section = {"scorer": {"name": scorer, "settings": settings}}
    done = score(section, out, out / "features")
    return done, tables.read("scores", out / "scores.parquet")


LENGTHS = {"name": "tokens", "best": "highest"}


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_rows_with_numbers_that_are_none_are_named_counted_and_never_chosen(out, wrong):
    features(out, "pool", tokens=[1, wrong, 3, 4, wrong, 6], other=[np.nan] * 6)
    done, scores = scored(out, "measure", **LENGTHS)
    assert done.unusable == ["id1", "id4"]  # `other` is not looked at
    assert np.isneginf(scores["score"].to_numpy()[:, 0]).tolist() == [
        i in (1, 4) for i in range(6)
    ]  # fmt: skip
    whole = {"aggregator": {"name": "top", "settings": {}}, "budget": 4}
    assert select(whole, out)["id"].to_list() == ["id5", "id3", "id2", "id0"]
    with pytest.raises(InputError, match="only 4 of the 6 in the pool are candidates"):
        select({**whole, "budget": 5}, out)


@pytest.mark.parametrize("scorer", ["cosine", "influence"])
def test_a_query_with_numbers_that_are_none_is_named(out, scorer):
    name = {"cosine": "vectors", "influence": "gradients"}[scorer]
    weight = {"weight": [[1.0]] * 2} if scorer == "influence" else {}
    features(out, "queries", **{name: [[[1.0, 0.0]], [[np.nan, 0.0]]]}, **weight)
    features(out, "pool", **{name: [[[1.0, 0.0]]] * 6})
    with pytest.raises(InputError, match=r"1 queries have NaN or infinite features: q1\. Give"):
        scored(out, scorer, groups="queries")


@pytest.mark.parametrize("over", ["response", "all"])
def test_a_query_of_which_nothing_is_seen_is_refused_before_the_pool_is_measured(out, over):
    long = [{"role": "user", "content": "word " * 50}, {"role": "assistant", "content": "a"}]
    queries = [("t", "q0", TURNS, None), ("t", "q1", long, None)]
    frame = pl.DataFrame(queries, schema=tables.SCHEMAS["queries"], orient="row")
    tables.write("queries", frame, out / "queries.parquet")
    section = {
        "features": {"name": "hidden_states", "settings": {"pooling": "mean", "over": over}},
        "model": {**MODEL, "max_tokens": 40},
        "queries": True,
        "reference": False,
    }
    (out / "reference").mkdir()
    (out / "reference/reference.json").write_text('{"checkpoints": []}')
    if over == "all":
        assert set(embed(section, out)) == {"queries", "pool"}
        return
    with pytest.raises(InputError, match=r"1 queries have none of the tokens .*: q1\. Give them"):
        embed(section, out)
    assert not (out / "features/pool").exists()


def test_parts_are_written_with_their_group(out):
    done, scores = scored(out, "random", seed=0, per="source")
    assert [group.name for group in done.groups] == ["a", "b"]
    assert scores["group"].to_list() == [0, 1, 0, 1, 0, 1]
    assert scores.schema["score"] == pl.Array(pl.Float32, 1)
    chosen = select({"aggregator": {"name": "round_robin", "settings": {}}, "budget": 4}, out)
    assert chosen["group"].to_list() == [0, 1, 0, 1]
    assert (chosen["source"] == pl.Series(["a", "b", "a", "b"])).all()


@pytest.mark.parametrize("shard", [1, 2, 5, 6])
def test_shards_of_any_size_are_read(out, shard):
    features(out, "pool", shard, tokens=[3, 1, 2, 9, 8, 7])
    _, scores = scored(out, "measure", **LENGTHS)
    assert scores["score"].to_numpy()[:, 0].tolist() == [3, 1, 2, 9, 8, 7]
    assert scores["id"].to_list() == [f"id{i}" for i in range(6)]


def test_queries_may_be_of_other_tasks_than_the_tests(in_scratch):
    frame = pl.DataFrame({"task": ["chats", "sums"], "id": ["c", "s"], "messages": [TURNS] * 2})
    frame.write_parquet("queries.parquet")
    assert read_queries(["queries.parquet"], "all")["task"].to_list() == ["chats", "sums"]
    assert read_queries(["queries.parquet"], ["chats"])["task"].to_list() == ["chats"]
    assert read_queries([], "all").is_empty()


def test_subtasks_are_kept(in_scratch):
    frame = pl.DataFrame({
        "task": ["t", "t"], "id": ["x", "y"], "messages": [TURNS] * 2, "subtask": ["one", None],
    })  # fmt: skip
    frame.write_parquet("queries.parquet")
    assert read_queries(["queries.parquet"], "all")["subtask"].to_list() == ["one", None]


def test_a_reference_of_rows_without_responses_is_refused(out):
    chat = Chat(load_tokenizer(MODEL), "tulu", max_tokens=3)  # the headers alone are longer
    with pytest.raises(InputError, match="none of the 6 rows that the reference is to be fitted"):
        encode_rows(out / "pool.parquet", chat, np.arange(6))
