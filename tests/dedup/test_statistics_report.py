"""The plots and the printed table of a pool's statistics, by hand."""

import json

import numpy as np
import pytest

from dataselect import report
from dataselect.dedup.statistics import PoolStatistics, SourceCount
from dataselect.dedup.statistics_report import figures, show, write_plots


def statistics(**changes):
    given = {
        "rows": 4,
        "measured": 4,
        "sources": [SourceCount("[red]b", 3, 30), SourceCount("a", 1, 10)],
        "tokens": 40,
        "lengths": np.array([5, 7, 8, 20]),
        "turns": {2: 3, 4: 1},
        "languages": None,
    }
    return PoolStatistics(**{**given, **changes})


def plots(folder, done, read=8, dropped=None):
    write_plots(done, read, dropped or {"duplicate": 4}, folder)
    names = ("sources", "lengths", "turns", "dropped")
    return {name: json.loads((folder / f"pool_{name}.json").read_text()) for name in names}


def test_plots_by_hand(tmp_path):
    found = plots(tmp_path, statistics(languages={"en": 3, "de": 1}))
    assert found["sources"] == [
        {"source": "[red]b", "share": 0.75, "of": "rows"},
        {"source": "[red]b", "share": 0.75, "of": "tokens"},
        {"source": "a", "share": 0.25, "of": "rows"},
        {"source": "a", "share": 0.25, "of": "tokens"},
    ]
    assert found["lengths"] == [
        {"length": "4 to 5 tokens", "share": 0.25},
        {"length": "6 to 7 tokens", "share": 0.25},
        {"length": "8 to 11 tokens", "share": 0.25},
        {"length": "12 to 15 tokens", "share": 0.0},
        {"length": "16 to 22 tokens", "share": 0.25},
    ]
    assert found["turns"] == [
        {"rows": "2 turns", "share": 0.75},
        {"rows": "4 turns", "share": 0.25},
        {"rows": "en", "share": 0.75},
        {"rows": "de", "share": 0.25},
    ]
    assert found["dropped"] == [
        {"rows": "in the pool", "share": 0.5},
        {"rows": "duplicate", "share": 0.5},
    ]


@pytest.mark.parametrize("lengths", [[0], [0, 1], [1], [3, 4], [2**20], list(range(200))])
def test_every_length_is_in_one_range(tmp_path, lengths):
    done = statistics(rows=len(lengths), measured=len(lengths), lengths=np.array(lengths))
    bars = plots(tmp_path, done)["lengths"]
    assert sum(bar["share"] for bar in bars) == pytest.approx(1, abs=1e-4)
    assert bars[0]["share"] > 0
    assert bars[-1]["share"] > 0


def test_the_rest_of_many_sources_and_turns_is_one_line(tmp_path):
    sources = [SourceCount(f"s{i}", 100 - i, None) for i in range(50)]
    turns = dict.fromkeys(range(20), 1)
    done = statistics(sources=sources, tokens=None, turns=turns, rows=3_775, measured=20)
    found = plots(tmp_path, done, read=4_000)
    assert len(found["sources"]) == 41
    assert found["sources"][-1] == {"source": "10 more", "share": 0.14702, "of": "rows"}
    assert found["turns"][-1] == {"rows": "other numbers of turns", "share": 0.4}
    printed = shown(done)
    assert " 38 more  2,641 " in printed
    assert "0 in 5.0%, 1 in 5.0%, 2 in 5.0%, 3 in 5.0%, others in 80.0%." in printed
    assert "Characters a row" in printed
    assert "Tokens are not counted" in printed
    assert "Measured on a random sample of 20 rows." in printed


def shown(done):
    with report.console.capture() as captured:
        show(done)
    return captured.get()


def test_the_table_by_hand():
    counts = {"turns": {2: 900, 4: 100}, "languages": {"en": 999, "de": 1}}
    printed = shown(statistics(**counts, measured=1_000, rows=1_000))
    assert [line.rstrip() for line in printed.splitlines()] == [
        "Pool by source",
        " source  rows  tokens",
        " [red]b     3      30",
        " a          1      10",
        "",
        "Tokens a row: half have up to 7, 90% up to 20, all up to 20.",
        "Turns a row: 2 in 90.0%, 4 in 10.0%.",
        "Languages: en in 99.9%, others in 0.1%.",
        "",
    ]


def test_figures():
    assert figures(statistics(languages={"en": 4})) == {
        "tokens": 40,
        "measured_rows": 4,
        "turns": {"2": 3, "4": 1},
        "languages": {"en": 4},
    }
    assert "languages" not in figures(statistics())
