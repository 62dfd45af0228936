"""Quotas of a pool: its rows' classes, and what it cannot meet."""

import numpy as np
import pytest

from dataselect.data import tables
from dataselect.data.mix import MixSettings
from dataselect.data.quotas import check_sources, choice_limits, epochs_by_source, read_quotas
from dataselect.data.scores import Group
from tests.aggregate.test_walk import Lengths
from tests.helpers import mistake, table

SOURCES = ["web", "code", "science_a", "code", "science_b", "web", "web"]


@pytest.fixture
def pool(tmp_path):
    rows = [(number, f"id{number}", source, []) for number, source in enumerate(SOURCES)]
    tables.write("pool", table("pool", rows), tmp_path / "pool.parquet")
    return tmp_path / "pool.parquet"


def quotas(pool, sources, total=4, tokens=None):
    return read_quotas(pool, MixSettings(sources=sources), total, tokens)


def test_the_sources_of_a_pattern_are_one_class(pool):
    found = quotas(pool, {"science*": {"at_most": 1}, "code": "50%"})
    assert found.classes.tolist() == [0, 2, 1, 2, 1, 0, 0]
    assert found.names == ["sources without a quota", "science*", "code"]
    assert (found.at_least, found.at_most) == ([0, 0, 2], [4, 1, 2])
    assert found.unit == "rows"
    in_tokens = quotas(pool, {"code": 900}, 1_000, Lengths([]))  # more than there are rows
    assert (in_tokens.at_least, in_tokens.unit) == ([0, 900], "tokens")


def test_a_pool_that_cannot_meet_them_is_refused_with_the_numbers(pool):
    assert mistake(quotas, pool, {"code": 3}) == (
        "params.yaml: mix.sources: code: 3 rows wanted, 2 rows in the pool. Lower its number, or "
        "`budget`."
    )
    assert mistake(quotas, pool, {"web": 1, "code": 0}) == (
        "params.yaml: mix.sources: 4 rows wanted; quotas and rows allow 3 (sources without a "
        "quota: 2, web: 1, code: 0). Raise `at_most`, or lower `budget`."
    )


def test_names_are_checked_before_anything_costs(pool):
    check_sources(pool, MixSettings(sources={"code": 2}, epochs={"science*": 2}), 4)
    check_sources(pool, MixSettings(sources={"code": 5_000}), None)
    for rows in (4, None):
        mix = MixSettings(sources={"cod": 1})
        assert "mix.sources: `cod` is no source" in mistake(check_sources, pool, mix, rows)
        mix = MixSettings(epochs={"cod": 2})
        assert "mix.epochs: `cod` is no source" in mistake(check_sources, pool, mix, rows)


def test_epochs_are_by_source(pool):
    assert epochs_by_source(pool, {"science*": 3, "code": 2}) == {
        "code": 2,
        "science_a": 3,
        "science_b": 3,
    }
    assert epochs_by_source(pool, {}) == {}


def test_an_aggregator_is_given_only_what_is_limited(pool):
    groups = [Group("t", "t"), Group("u", "u")]
    assert choice_limits(MixSettings(epochs={"code": 2}), pool, groups, 4, None) == {}
    assert set(choice_limits(MixSettings(sources={"code": 1}), pool, groups, 4, None)) == {"quotas"}
    limits = choice_limits(MixSettings(tasks={"t": 2}), pool, groups, 4, None)
    assert limits["weights"].tolist() == [2, 1]
    np.testing.assert_array_equal(limits["quotas"].classes, np.zeros(7))
    limits = choice_limits(MixSettings(), pool, groups, 400, Lengths([]))
    assert limits["quotas"].total == 400
