"""Random and balanced random: uniform, and equal shares for the sources."""

from collections import Counter

import numpy as np

from dataselect.aggregate.round_robin import round_robin
from dataselect.aggregate.top import top
from dataselect.data.scores import PoolInfo, Rows
from dataselect.score.random import random


def scored(counts, **settings):
    """The source of every row, the groups, and the scores, for sources of these sizes."""
    names = [(f"{source}/{i}", source) for source, n in counts.items() for i in range(n)]
    rows = Rows([name for name, _ in names], [source for _, source in names])
    prepared = random(**settings).prepare(PoolInfo(len(names), sorted(counts)), None)
    return rows.source, prepared.groups, prepared.score(rows)


def test_balanced_random_gives_equal_shares_and_spreads_what_small_sources_lack():
    sources, groups, scores = scored({"a": 2, "b": 50, "c": 100}, seed=0, per="source")
    picks = round_robin(lambda: [scores], groups, 32)
    assert Counter(sources[row] for row in picks.rows) == {"a": 2, "b": 15, "c": 15}


def test_random_is_uniform_over_the_pool():
    sources, groups, scores = scored({"a": 1000, "b": 9000}, seed=5)
    assert scores.shape == (10_000, 1)
    assert scores.min() >= -1
    assert scores.max() < 0
    assert abs(-scores.mean() - 0.5) < 4 * np.sqrt(1 / 12 / 10_000)
    blocks = [scores[first : first + 512] for first in range(0, 10_000, 512)]
    picks = top(lambda: blocks, groups, 2000)
    share = Counter(sources[row] for row in picks.rows)["a"] / 2000
    assert abs(share - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 2000)


def test_it_needs_no_features_and_no_queries():
    scorer = random(seed=0)
    assert (scorer.inputs, scorer.uses_queries) == ((), False)
