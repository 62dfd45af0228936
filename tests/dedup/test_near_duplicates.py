"""Near-duplicates in a pool: which row stays, and what is written of the others."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from dataselect.compute import no_progress
from dataselect.data import tables
from dataselect.dedup import minhash, raw, sequence_sets, similar_rows
from dataselect.dedup.pool import NearDuplicateCounts
from dataselect.dedup.settings import NearDuplicateSettings, PoolRules
from dataselect.dedup.steps import write_pool
from tests.dedup import NONE_CUT_OFF, row, write
from tests.helpers import ROOT, change, mistake, planned


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def run(rows, out="out", **settings):
    """The pool of the rows: counts, ids of the pool, dropped without place."""
    path = write("a.jsonl", rows)
    folder = Path(out)
    counts = write_pool(
        [path],
        folder,
        rules=PoolRules(most_dropped=1.0),
        truncation=NONE_CUT_OFF,
        progress=no_progress,
        near_duplicates=NearDuplicateSettings(**settings) if settings else None,
    )
    pool = tables.read("pool", folder / "pool.parquet")
    dropped = tables.read("dropped", folder / "dropped.parquet").drop("place")
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["contamination.parquet", "dropped.parquet", "pool.parquet"]
    return counts, pool["id"].to_list(), dropped.rows()


def words(first, count):
    """So many different words."""
    return " ".join(f"w{number}" for number in range(first, first + count))


def near_rows(rows):
    return {name: detail for name, _, reason, detail in rows if reason == "near-duplicate"}


def test_by_hand():
    rows = [
        row("Say it.", words(0, 54), id="first"),  # 56 words: 52 sequences
        row("another thing", "entirely", id="other"),
        row("SAY it!", words(0, 54) + " .", id="case", source="b"),
        row("Say it.", words(0, 54), id="exact"),
        row("Say it.", words(0, 50), id="shorter"),  # 48 of 52
        row("Say it.", words(0, 38), id="too short"),  # 36 of 52, and of the 48 of "shorter"
    ]
    counts, pool, dropped = run(rows, similarity=0.8)
    assert pool == ["first", "other", "too short"]
    assert dropped == [
        ("case", "b", "near-duplicate", "`first` (similarity 1.00)"),
        ("exact", "a", "duplicate", "first"),
        ("shorter", "a", "near-duplicate", "`first` (similarity 0.92)"),  # 0.923
    ]
    assert counts.dropped == {"duplicate": 1, "near-duplicate": 2}
    assert (counts.read, counts.kept) == (6, 3)
    assert counts.near_duplicates == NearDuplicateCounts(2, 1, 0, dropped=True)


def test_a_chain_names_the_row_that_stays_and_how_little_it_resembles_it():
    # 41 sequences; each shares 36 with the next, so 36 of 46: the last ends with "a".
    rows = [row(words(4 * i, 44), "a", id=f"r{i}") for i in range(4)]
    assert run(rows, similarity=0.8)[1] == ["r0", "r1", "r2", "r3"]
    counts, pool, dropped = run(rows, similarity=0.75)
    assert pool == ["r0"]
    assert near_rows(dropped) == {
        "r1": "`r0` (similarity 0.78)",
        "r2": "`r0` (similarity 0.64, through other rows)",  # 32 of 50
        "r3": "`r0` (similarity 0.51, through other rows)",  # 28 of 54
    }
    assert counts.near_duplicates == NearDuplicateCounts(3, 1, 0, dropped=True)


def test_report_counts_and_leaves_everything_in():
    rows = [row(words(i, 60), "a", id=f"r{i}") for i in (0, 1, 2, 500, 501, 900)]
    without = run(rows, out="without")
    counts, *rest = run(rows, similarity=0.8, action="report")
    assert rest == list(without[1:])
    assert counts.near_duplicates == NearDuplicateCounts(3, 2, 0, dropped=False)
    assert (counts.kept, counts.dropped) == (6, {})
    for name in ("pool.parquet", "dropped.parquet"):
        written = [(Path(folder) / name).read_bytes() for folder in ("out", "without")]
        assert written[0] == written[1]


def test_short_rows_are_compared_as_the_words_they_have():
    pairs = [
        ("yes", "no"),
        ("YES", "No."),
        ("yes", "no no"),
        ("?", "!"),
        ("!!", "…"),
        ("no", "yes"),
    ]
    rows = [row(user, response, id=f"r{i}") for i, (user, response) in enumerate(pairs)]
    _, pool, dropped = run(rows, similarity=0.5)
    assert pool == ["r0", "r2", "r3", "r4", "r5"]  # rows without words are like none
    assert near_rows(dropped) == {"r1": "`r0` (similarity 1.00)"}


def test_unicode():
    text = "Ça c'est déjà l'été à Zürich où l'œuvre naïve fut créée, 我喜欢吃苹果和香蕉"
    rows = [
        row(text, "oui", id="a"),
        row(text.upper(), "OUI 🌱", id="b"),
        row(text.replace("ü", "u"), "non", id="c"),
        row("我喜欢吃苹果和香蕉我喜欢吃苹果和香蕉我喜欢", "好", id="d"),
        row("我喜欢吃苹果和香蕉,我喜欢吃苹果和香蕉。我喜欢", "好!", id="e\n`"),
    ]
    _, pool, dropped = run(rows, similarity=0.9)
    assert pool == ["a", "c", "d"]
    assert list(near_rows(dropped).values()) == ["`a` (similarity 1.00)", "`d` (similarity 1.00)"]


def test_rows_dropped_for_another_reason_are_not_what_others_resemble():
    rows = [row(words(0, 40), id="no response"), row(words(0, 40), "x", id="kept")]
    _, pool, dropped = run(rows, similarity=0.8)
    assert pool == ["kept"]
    assert near_rows(dropped) == {}


def test_rows_that_call_other_tools_are_not_near():
    def calling(name, **columns):
        function = {"name": name, "arguments": {"text": words(0, 30)}}
        calls = [{"type": "function", "function": function}]
        turns = row(words(0, 30), " ")["messages"]
        turns[1]["tool_calls"] = calls
        return {"messages": turns, **columns}

    def many(prefix):
        return " ".join(f"{prefix}{number}" for number in range(40))

    rows = [calling(many("a"), id="a"), calling(many("b"), id="b"), calling(many("a"), id="again")]
    rows[2]["messages"][0]["content"] += " now"
    _, kept, dropped = run(rows, similarity=0.8)
    assert kept == ["a", "b"]
    assert list(near_rows(dropped)) == ["again"]


def test_a_list_of_tools_that_rows_share_makes_them_not_near():
    tools = [{"type": "function", "function": {"name": f"tool{n}", "description": words(n, 20)}}
             for n in range(6)]  # fmt: skip
    texts = (words(0, 30), words(100, 30), words(200, 30))
    rows = [row(text, "yes", id=text[:4], tools=tools) for text in texts]
    _, _, dropped = run(rows, similarity=0.5)
    assert near_rows(dropped) == {}


def test_without_near_duplicates_nothing_changes():
    rows = [row(words(100 * i, 30), "x", id=f"r{i}") for i in range(30)]
    counts, pool, dropped = run(rows, similarity=0.5)
    assert (len(pool), dropped) == (30, [])
    assert counts.near_duplicates == NearDuplicateCounts(0, 0, 0, dropped=True)
    assert run(rows)[0].near_duplicates is None


def test_no_row_is_left_to_compare():
    assert mistake(run, [row("no response")], similarity=0.8) == (
        "pool.path: no row is left. Dropped: 1 no assistant turn. Check the rows of the files."
    )


# ---- laws


def near_copies(seed, count=400):
    """Rows with up to a quarter of the words of an earlier row changed, or of their own."""
    rng = np.random.default_rng(seed)
    vocabulary = np.array([f"w{number}" for number in range(500)])
    texts = [rng.choice(vocabulary, rng.integers(3, 80)) for _ in range(count // 4)]
    while len(texts) < count:
        text = texts[rng.integers(len(texts))].copy()
        changed = rng.integers(len(text), size=rng.integers(0, max(len(text) // 25, 1) + 1))
        text[changed] = rng.choice(vocabulary, len(changed))
        texts.append(text)
    return [row(" ".join(text), "yes", id=f"r{i}") for i, text in enumerate(texts)]


def sets(rows):
    plain = []
    for given in rows:
        split = " ".join(turn["content"] for turn in given["messages"]).split()
        plain.append({tuple(split[i : i + 5]) for i in range(max(len(split) - 4, 1))})
    return plain


def components(rows, similarity):
    """The groups of ids, by comparing every pair."""
    plain, group = sets(rows), list(range(len(rows)))
    for i, left in enumerate(plain):
        for j, right in enumerate(plain[:i]):
            if group[i] != group[j] and len(left & right) >= similarity * len(left | right):
                group = [group[j] if other == group[i] else other for other in group]
    return {frozenset(rows[i]["id"] for i in range(len(rows)) if group[i] == g) for g in group}


def groups(rows, found):
    """The groups of ids that a run found, from what it wrote."""
    _, pool, dropped = found
    stays = {name: name for name in pool}
    stays |= {name: detail.split("`")[1] for name, detail in near_rows(dropped).items()}
    equal = {name: detail for name, _, reason, detail in dropped if reason == "duplicate"}
    stays |= {name: stays[other] for name, other in equal.items()}
    members = {name: set() for name in pool}
    for name, kept in stays.items():
        members[kept].add(name)
    assert len(stays) == len(rows)
    return {frozenset(group) for group in members.values()}


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 1.0])
def test_groups_are_those_of_comparing_every_pair(similarity):
    rows = near_copies(seed=1)
    expected = components(rows, similarity)
    assert groups(rows, run(rows, similarity=similarity)) == expected
    assert len(expected) < 380


def test_the_first_of_every_group_stays_in_any_order():
    rows = near_copies(seed=2)
    expected = groups(rows, run(rows, similarity=0.8))
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(rows))
        permuted = [rows[i] for i in order]
        found = run(permuted, similarity=0.8)
        assert groups(rows, found) == expected
        place = {given["id"]: i for i, given in enumerate(permuted)}
        first = {min(group, key=place.__getitem__) for group in expected}
        assert found[1] == sorted(first, key=place.__getitem__)


def test_blocks_change_nothing(monkeypatch):
    rows = near_copies(seed=3)
    expected = run(rows, similarity=0.7)
    monkeypatch.setattr(raw, "ROWS_PER_BLOCK", 77)
    monkeypatch.setattr("dataselect.dedup.pool.ROWS_PER_BLOCK", 31)
    monkeypatch.setattr("dataselect.dedup.near_duplicates._DROPPED_TOGETHER", 13)
    monkeypatch.setattr(minhash, "_SORTED_TOGETHER", 100)
    monkeypatch.setattr(sequence_sets, "SEQUENCES_TOGETHER", 500)
    monkeypatch.setattr(similar_rows, "_PAIRS_TOGETHER", 50_000)
    assert run(rows, similarity=0.7) == expected


@pytest.mark.slow
def test_threads_change_nothing(here):
    write("a.jsonl", near_copies(seed=5))
    script = (
        "from pathlib import Path; from dataselect.dedup.steps import write_pool;"
        "from dataselect.dedup.settings import NearDuplicateSettings, PoolRules;"
        "from dataselect.dedup.truncation import Truncation;"
        "write_pool(['a.jsonl'], Path(OUT), rules=PoolRules(), progress=lambda *_: None,"
        "truncation=Truncation(lambda rows: [False] * len(rows)),"
        "near_duplicates=NearDuplicateSettings())"
    )
    for threads in ("1", "3"):
        counts = {"POLARS_MAX_THREADS": threads, "RAYON_NUM_THREADS": threads}
        code = script.replace("OUT", repr(threads))
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **counts})
    for name in ("pool.parquet", "dropped.parquet"):
        assert (here / "1" / name).read_bytes() == (here / "3" / name).read_bytes()
    assert tables.read("dropped", here / "1/dropped.parquet").height > 100


def test_what_is_written_is_the_exact_similarity():
    rows = near_copies(seed=4)
    plain = {given["id"]: found for given, found in zip(rows, sets(rows), strict=True)}
    _, _, dropped = run(rows, similarity=0.6)
    details = near_rows(dropped)
    assert len(details) > 100
    for name, detail in details.items():
        kept = detail.split("`")[1]
        exact = len(plain[name] & plain[kept]) / len(plain[name] | plain[kept])
        through = "" if exact >= 0.6 else ", through other rows"
        assert detail == f"`{kept}` (similarity {int(exact * 100 + 1e-9) / 100:.2f}{through})"
    assert any("through other rows" in detail for detail in details.values())


@pytest.mark.slow
@pytest.mark.parametrize("own", [2, 30], ids=["near-copies", "too different"])
def test_thousands_of_rows_of_a_template(own):
    """All compared with all, it would be 200 million pairs."""
    template = words(0, 60)
    rows = [
        row(template + " " + words(1_000 + own * i, own), "yes", id=f"r{i}") for i in range(20_000)
    ]
    # Two near-copies with the same words of their own, which only a rare sequence tells apart.
    rows[777] = row(template + " " + words(1_000 + own * 5, own), "yes yes", id="copy")
    counts, pool, dropped = run(rows, similarity=0.8)
    assert counts.near_duplicates.limited == 0
    if own == 2:
        assert pool == ["r0"]
    else:
        assert near_rows(dropped) == {"copy": "`r5` (similarity 0.98)"}


# ---- as a user


@pytest.mark.slow
def test_the_stage_prints_and_notes_what_it_found(home):
    write("pool.jsonl", [row(words(i, 60), "a", id=f"r{i}") for i in (0, 1, 500)])
    for action, kept in (("report", 3), ("drop", 2)):
        change({"near_duplicates": {"action": action}})
        for name in ("plan", "dedup"):
            script = [sys.executable, str(ROOT / "stages" / f"{name}.py")]
            done = subprocess.run(script, check=True, capture_output=True, text=True)
        assert re.search(r"near-duplicates found +1\b", done.stdout)
        assert re.search(rf"rows kept +{kept}\b", done.stdout)
        figures = json.loads(Path("metrics/dedup.json").read_text())
        assert figures["near_duplicates"] == {
            "rows": 1,
            "groups": 1,
            "limited": 0,
            "dropped": action == "drop",
        }


def test_the_example_of_the_page_is_a_plan(home):
    page = (ROOT / "docs/pools.md").read_text()
    (example,) = re.findall(r"^near_duplicates: .*$", page, re.M)
    change(yaml.safe_load(example))
    assert planned().dedup.near_duplicates == NearDuplicateSettings()


# ---- mistakes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"similarity": 0}, "similarity: expected greater than or equal to 0.5; found 0"),
        ({"similarity": 1.5}, "similarity: expected less than or equal to 1; found 1.5"),
        ({"similarity": "high"}, "similarity: expected a valid number; found 'high'"),
        ({"action": "foo"}, "action: expected 'drop' or 'report'; found 'foo'"),
        ({"similarty": 0.9}, "unknown setting `similarty`. Did you mean `similarity`?"),
    ],
)
def test_bad_values_are_refused_by_the_plan(home, settings, message):
    change({"near_duplicates": settings})
    assert message in mistake(planned)


def test_the_plan_names_the_extra_that_is_missing(home, monkeypatch):
    change({"near_duplicates": {}})
    assert planned().dedup.near_duplicates == NearDuplicateSettings()
    monkeypatch.setitem(sys.modules, "rensa", None)
    assert "pip install 'dataselect[near-duplicates]'" in mistake(planned)
    change({"near_duplicates": None})
    assert planned().dedup.near_duplicates is None
