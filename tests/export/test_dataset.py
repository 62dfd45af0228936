"""The Parquet files of an exported data set."""

import json

import polars as pl

from dataselect.data.tool_use import to_column
from dataselect.export.dataset import columns, with_tools, write_dataset
from tests.tool_rows import BOTH, TOOLS, TURNS

PLAIN = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


def rows(count, **more):
    named = {"rank": range(count), "row": range(count), "id": [f"r{i}" for i in range(count)]}
    named |= {"source": ["s"] * count, "group": [0] * count, "task": [None] * count}
    named |= {"score": [0.5] * count, "messages": [PLAIN] * count, "group_name": ["all"] * count}
    return with_tools(pl.DataFrame({**named, **more}))


def test_rows_are_divided_among_files_in_their_order(tmp_path):
    frame = rows(10)
    names = write_dataset(frame, tmp_path, file_bytes=frame.estimated_size() // 3)
    assert names[0] == f"data/train-00000-of-{len(names):05d}.parquet"
    assert len(names) > 2
    parts = [pl.read_parquet(tmp_path / name) for name in names]
    assert pl.concat(parts)["id"].to_list() == frame["id"].to_list()
    assert min(part.height for part in parts) > 0


def test_a_data_set_of_few_rows_is_one_file(tmp_path):
    assert write_dataset(rows(2), tmp_path) == ["data/train-00000-of-00001.parquet"]
    assert write_dataset(rows(1), tmp_path / "data", 1) == ["data/train-00000-of-00001.parquet"]


def test_columns_are_the_selections_the_messages_and_those_that_were_kept():
    frame = rows(2, license=["mit", None])
    assert columns(frame) == [
        *("rank", "id", "source", "messages", "task", "group_name", "score", "license"),
    ]


def test_tools_and_calls_are_json_in_columns_of_their_own(tmp_path):
    tool_use = [None, to_column(BOTH)]
    texts = [{"role": turn["role"], "content": turn["content"]} for turn in BOTH]
    frame = rows(2, messages=[PLAIN, texts], tool_use=tool_use)
    assert columns(frame)[3:5] == ["messages", "tools"]
    (name,) = write_dataset(frame, tmp_path)
    plain, called = pl.read_parquet(tmp_path / name).to_dicts()
    assert plain["tools"] is None
    assert json.loads(called["tools"]) == TOOLS
    assert json.loads(called["messages"][2]["tool_calls"]) == TURNS[1]["tool_calls"]
    assert [turn["content"] for turn in called["messages"]] == [turn["content"] for turn in BOTH]
    assert "tool_use" not in called
