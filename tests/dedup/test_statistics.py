"""The pool's statistics: counted by hand, and on a sample of a larger pool."""

import pytest

from dataselect.data import tables
from dataselect.dedup import languages
from dataselect.dedup.statistics import SourceCount, measure_pool
from dataselect.dedup.token_counter import load_token_counter
from dataselect.models.settings import TokenizerSettings
from tests.dedup import turns
from tests.helpers import GOLDEN, change, mistake, planned, table

MODEL = TokenizerSettings(name=str(GOLDEN / "tiny-llama"))
NO_TOKENIZER = TokenizerSettings(name=".")


def write_pool(path, rows):
    """A pool of (id, source, messages)."""
    frame = table("pool", [(number, *row) for number, row in enumerate(rows)])
    tables.write("pool", frame, path)
    return path


ROWS = [
    ("r0", "b", turns(("system", "Be kind."), ("user", "one"), ("assistant", "two words"))),
    ("r1", "a", turns(("user", "x"), ("assistant", ""))),
    ("r2", "b", turns(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d e"))),
]


@pytest.fixture
def pool(in_scratch):
    return write_pool(in_scratch / "pool.parquet", ROWS)


def test_counted_by_hand(pool):
    done = measure_pool(pool, NO_TOKENIZER, languages=False)
    assert (done.rows, done.measured, done.is_estimate) == (3, 3, False)
    assert done.tokens is None
    assert done.sources == [SourceCount("b", 2, None), SourceCount("a", 1, None)]
    assert done.lengths.tolist() == [1, 6, 20]  # characters
    assert done.turns == {2: 2, 4: 1}
    assert done.languages is None


@pytest.mark.slow  # imports transformers
def test_tokens_are_those_of_the_models_tokenizer(pool):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL.name)
    counts = [
        sum(len(tokenizer(turn["content"], add_special_tokens=False).input_ids) for turn in row)
        for _, _, row in ROWS
    ]
    done = measure_pool(pool, MODEL, languages=False)
    assert done.lengths.tolist() == sorted(counts)
    assert done.tokens == sum(counts)
    assert done.sources == [
        SourceCount("b", 2, counts[0] + counts[2]),
        SourceCount("a", 1, counts[1]),
    ]


def test_a_sample_estimates_and_depends_on_no_order(in_scratch):
    rows = [(f"r{i}", f"s{i % 3}", turns(("user", "x" * (i % 40)))) for i in range(900)]
    rows.append(("lonely", "t", turns(("user", "y"))))
    found = []
    for order in (rows, rows[::-1]):
        path = write_pool(in_scratch / "pool.parquet", order)
        found.append(measure_pool(path, MODEL, languages=False, limit=300))
    done = found[0]
    assert (done.rows, done.measured, done.is_estimate) == (901, 300, True)
    assert [(s.source, s.rows) for s in done.sources] == [
        *((f"s{i}", 300) for i in range(3)),
        ("t", 1),
    ]
    exact = measure_pool(path, MODEL, languages=False)
    assert done.tokens == round(901 * done.lengths.mean())
    assert abs(done.tokens / exact.tokens - 1) < 0.15
    assert (found[1].tokens, found[1].lengths.tolist()) == (done.tokens, done.lengths.tolist())
    assert sorted(map(str, found[1].sources)) == sorted(map(str, done.sources))


def test_a_sample_is_drawn_evenly_from_all_blocks(in_scratch, monkeypatch):
    monkeypatch.setattr("dataselect.dedup.statistics.ROWS_PER_BLOCK", 50)
    rows = [(f"r{i}", "s", turns(("user", "x" * i))) for i in range(1_000)]
    path = write_pool(in_scratch / "pool.parquet", rows)
    done = measure_pool(path, NO_TOKENIZER, languages=False, limit=400)
    assert len(set(done.lengths.tolist())) == 400
    assert [150 < (done.lengths // 500 == half).sum() < 250 for half in (0, 1)] == [True, True]


def test_without_a_tokenizer_file_nothing_is_counted(in_scratch):
    (in_scratch / "tokenizer.json").write_text("{")
    assert load_token_counter(NO_TOKENIZER) is None
    assert load_token_counter(TokenizerSettings(name="some/model-of-a-hub")) is None
    assert load_token_counter(MODEL)(["", "a b"])[0] == 0


def test_languages_are_counted(pool, monkeypatch):
    monkeypatch.setattr(
        "dataselect.dedup.statistics.load_detector", lambda: lambda text: f"{text.count(' ')}"
    )
    done = measure_pool(pool, NO_TOKENIZER, languages=True)
    assert done.languages == {"0": 1, "1": 1, "2": 1}


def test_the_detector_knows_languages_and_texts_without_any():
    pytest.importorskip("py3langid")
    detect = languages.load_detector()
    texts = ["Die Katze schläft auf dem warmen Dach.", "The cat sleeps on the roof.", "1 + 1", ""]
    assert [detect(text) for text in texts] == ["de", "en", "unknown", "unknown"]


def test_the_plan_says_which_extra_languages_need(home, monkeypatch):
    change({"pool": {"path": "pool.jsonl", "languages": True}})
    monkeypatch.setattr(languages.importlib.util, "find_spec", lambda name: None)
    assert mistake(planned) == (
        "pool.languages: the package `py3langid` is not installed. Install it: pip install "
        "'dataselect[languages]' (also in a clone); or remove the setting."
    )
    monkeypatch.setattr(languages.importlib.util, "find_spec", lambda name: name)
    assert planned().dedup.rules.languages
