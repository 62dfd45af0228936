"""Rows with tools through the stages, from files to the tokens that are trained on."""

import json
import random
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dataselect.aggregate.run import select
from dataselect.compute import no_progress
from dataselect.data import shards, tables
from dataselect.dedup.run import dedup
from dataselect.embed.run import embed
from dataselect.models.chat import load_chat
from dataselect.plan import estimate
from dataselect.reference.run import fit_reference
from dataselect.score.run import score
from dataselect.settings import Part
from dataselect.train.rows import encode_file, encode_rows
from tests.helpers import change, mistake, planned
from tests.models import copy_model
from tests.models.tool_templates import LIKE_QWEN
from tests.tool_rows import TOOLS, TURNS, ULM, call, calls, turn

pytestmark = pytest.mark.slow


def lookup(name, **arguments):
    """A row of one call; rows of other calls have the same texts."""
    row = [TURNS[0], calls(call(name, **arguments)), *TURNS[2:]]
    return {"source": "tools", "messages": row, "tools": TOOLS}


def chat_row(number):
    turns = [turn("user", f"{number} + 1?"), turn("assistant", str(number + 1))]
    return {"id": f"plain{number}", "source": "sums", "messages": turns}


CALLED = [
    {"id": "ulm", **lookup("weather", **ULM)},
    {"id": "bonn", **lookup("weather", city="Bonn")},
    {"id": "ulm again", **lookup("weather", **ULM)},
    {"id": "time", **lookup("time")},
]
ROWS = [chat_row(0), *CALLED[:2], chat_row(1), *CALLED[2:], chat_row(2)]
QUERY = {"id": "q", "task": "sums", **lookup("weather", city="Rome")}


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def project(home):
    """A user's folder with a pool of both kinds, and a model whose template writes tools."""
    (copy_model(home / "model") / "chat_template.jinja").write_text(LIKE_QWEN)
    write_lines(home / "pool.jsonl", ROWS)
    write_lines(home / "queries.jsonl", [QUERY, {"id": "p", "task": "sums", **chat_row(8)}])
    model = {"name": "model", "chat": "model", "dtype": "float32"}
    change({"model": model, "method": "rds", "budget": 3})
    return home


def selected(home, *, out="out"):
    """Runs the stages up to the selection; returns their folder."""
    sections, folder = planned(), home / out
    dedup(sections.dedup, folder, no_progress)
    pool, dropped = folder / "pool.parquet", folder / "dropped.parquet"
    fit_reference(sections.reference, pool, dropped, folder / "reference")
    embed(sections.embed, folder)
    score(sections.score, folder, folder / "features")
    select(sections.aggregate, folder)
    return folder


def vectors(folder):
    """The features of the pool, by id."""
    ids = tables.read("pool", folder / "pool.parquet")["id"]
    return dict(zip(ids, shards.read_all(folder / "features/pool")["vectors"], strict=True))


def test_from_files_to_training(project):
    out = selected(project)
    pool = tables.read("pool", out / "pool.parquet")
    assert pool["id"].to_list() == ["plain0", "ulm", "bonn", "plain1", "time", "plain2"]
    assert pool.filter(pl.col("tool_use").is_not_null())["id"].to_list() == ["ulm", "bonn", "time"]
    dropped = tables.read("dropped", out / "dropped.parquet")
    assert dropped.select("id", "reason", "detail").rows() == [("ulm again", "duplicate", "ulm")]
    found = vectors(out)
    assert not np.allclose(found["ulm"], found["bonn"])  # which differ in their calls only
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    given = {row["id"]: row for row in ROWS}
    assert {row["id"] for row in rows} & {"ulm", "bonn", "time"}
    assert rows == [given[row["id"]] for row in rows]  # in OpenAI's form, as it was given
    chat = load_chat(planned().train.model)
    trained = encode_file(out / "train.jsonl", chat, project / "trained")
    numbers = tables.read("selection", out / "selection.parquet")["row"].to_numpy()
    again = encode_rows(out / "pool.parquet", chat, numbers, project / "again")
    assert trained.dropped == 0
    for row, other, record in zip(trained, again, rows, strict=True):
        np.testing.assert_array_equal(row.ids, other.ids)
        np.testing.assert_array_equal(row.response, other.response)
        marked = chat.tokenizer.decode(row.ids[row.response])
        assert ("<tool_call>" in marked) is ("tools" in record)
        assert "celsius" not in marked
        assert "<tools>" not in marked


def test_rows_with_tools_change_nothing_of_the_others(project):
    found = vectors(selected(project))
    write_lines(project / "pool.jsonl", [chat_row(number) for number in range(3)])
    out = selected(project, out="without")
    assert tables.read("pool", out / "pool.parquet").columns == ["row", "id", "source", "messages"]
    for name, vector in vectors(out).items():
        np.testing.assert_allclose(vector, found[name], atol=2e-6)


def test_the_order_of_the_pool_changes_nothing(project):
    def result(folder):
        selection = tables.read("selection", folder / "selection.parquet")
        return selection.select("id", "task", pl.col("score").round(5)).rows()

    first = result(selected(project))
    rows = [row for row in ROWS if row["id"] != "ulm again"]
    random.Random(1).shuffle(rows)
    write_lines(project / "pool.jsonl", rows)
    assert result(selected(project, out="shuffled")) == first


def test_under_tulu_no_row_with_tools_is_trained_on(project):
    change({"model": {"name": "model", "dtype": "float32"}, "method": "random",
            "pool": {"path": "pool.jsonl", "most_dropped": 1.0}})  # fmt: skip
    out = selected(project)
    pool = tables.read("pool", out / "pool.parquet")
    assert pool["id"].to_list() == ["plain0", "plain1", "plain2"]
    assert "tool_use" not in pool.columns
    dropped = tables.read("dropped", out / "dropped.parquet")
    assert dropped["reason"].to_list() == ["tool use, for which the chat format has no form"] * 4


@pytest.mark.parametrize("feature", ["hidden_states", "losses", "lengths"])
def test_a_selector_with_tulu_reads_calls_as_text(project, feature):
    sections = planned()
    dedup(sections.dedup, project / "out", no_progress)
    section = replace(
        sections.embed,
        features=Part(feature, {}),
        model=replace(sections.embed.model, chat="tulu"),
    )
    embed(section, project / "out")
    ids = tables.read("pool", project / "out/pool.parquet")["id"].to_list()
    found = shards.read_all(project / "out/features/pool")
    bonn, time = ids.index("bonn"), ids.index("time")
    assert any(not np.allclose(array[bonn], array[time]) for array in found.values())


def test_a_selector_whose_template_loses_calls_says_what_to_do(project):
    sections = planned()
    dedup(sections.dedup, project / "out", no_progress)
    plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    (project / "model/chat_template.jinja").write_text(plain)
    message = mistake(embed, planned().embed, project / "out")
    assert "tools left out by the template of" in message
    assert "set `chat: tulu`" in message


def test_an_estimate_measures_the_rows_that_stay(project, monkeypatch):
    change({"model": {"name": "model", "dtype": "float32"}, "method": "longest"})
    measured = []

    def measure(sections, rows, home):
        measured.append(tables.read("pool", home / "pool.parquet")["source"].to_list())
        return {}

    monkeypatch.setattr(estimate, "estimate", measure)
    estimate.main()
    assert measured == [["sums"] * 3]
