"""What pool and selections are made of, by source."""

import polars as pl
import pytest

from dataselect.figures import draw, sources
from tests.figures.made_up import marks


def test_shares_are_those_of_the_tables(small_pool):
    rows = marks(draw(small_pool, ["sources"])["sources"])
    assert {row["panel"] for row in rows} == {"random", "rds", "s2l"}
    pool = pl.read_parquet(small_pool[0].out / "pool.parquet")
    chosen = [
        pl.read_parquet(run.out / "selection.parquet")["source"]
        for run in small_pool
        if run.method == "rds"
    ]
    for row in rows:
        assert row["pool"] == pytest.approx((pool["source"] == row["source"]).mean())
        if row["panel"] == "rds":
            own = [(names == row["source"]).mean() for names in chosen]
            assert row["selected"] == pytest.approx(sum(own) / 2)


def test_many_sources_are_drawn_together(small_pool, monkeypatch):
    monkeypatch.setattr(sources, "LINES", 2)
    rows = [row for row in marks(draw(small_pool, ["sources"])["sources"]) if row["panel"] == "rds"]
    assert len(rows) == 3
    assert "(2 other sources)" in {row["source"] for row in rows}
    assert sum(row["selected"] for row in rows) == pytest.approx(1)
    assert sum(row["pool"] for row in rows) == pytest.approx(1)


def test_46_sources_have_each_a_label_of_their_own(tmp_path):
    """None is dropped where labels would overlap, and each has more height than its letters."""
    from benchmarks.made_up_runs import MadeUp

    from dataselect.compare.find_runs import named_runs
    from tests.figures.made_up_outputs import write_run

    name = write_run(tmp_path / "many", MadeUp("many", budget=200), rows=2_000, sources=46)
    figure = draw(named_runs([name]), ["sources"])["sources"]
    svg = figure.svg()
    assert all(f">source number {number} with its name<" in svg for number in range(46))
    layer = figure.spec()["spec"]
    assert layer["height"]["step"] > figure.spec()["config"]["axis"]["labelFontSize"]


def test_a_selection_that_is_gone_is_named(runs):
    reasons = {}
    draw(runs, ["sources"], left_out=reasons.__setitem__)
    assert "gone from DVC's cache" in reasons["sources"]
