"""Histograms of the scores."""

import numpy as np
import polars as pl

from dataselect.figures import draw, scores
from tests.figures.made_up import marks


def test_a_histogram_for_every_method_and_task_but_not_of_random_orders(small_pool):
    figure = draw(small_pool, ["scores"])["scores"]
    panels = {row["panel"] for row in marks(figure)}
    assert panels == {f"{m}\n{t}" for m in ("random", "rds") for t in ("addition", "gsm8k")}
    only = [run for run in small_pool if run.method == "s2l"]
    reasons = {}
    assert not draw(only, ["scores"], left_out=reasons.__setitem__)
    assert "random order" in reasons["scores"]


def test_bars_count_the_rows_of_pool_and_selection(small_pool, monkeypatch):
    monkeypatch.setattr(scores, "BATCH", 64)  # several blocks
    run = next(run for run in small_pool if run.method == "rds")
    bars = scores.histograms(run)["gsm8k"]
    edges = [bar["score"] for bar in bars]
    matrix = pl.read_parquet(run.out / "scores.parquet")["score"].to_numpy()[:, 1]
    chosen = pl.read_parquet(run.out / "selection.parquet")["row"].to_numpy()
    for name, values in (("pool", matrix), ("selected", matrix[chosen])):
        counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
        found = np.array([bar[name] for bar in bars[:-1]])
        assert np.abs(found - counts / counts.max()).max() < 0.1  # bounds are rounded
        assert found.max() == 1


def test_several_queries_of_a_task_count_as_one():
    groups = pl.DataFrame({"task": ["a", "b", "a"]})
    assert scores._columns(groups, 3) == {"a": [0, 2], "b": [1]}
    assert scores._columns(pl.DataFrame({"task": [None]}), 1) == {scores.ALL_ROWS: [0]}
