"""Published results beside one's own."""

import yaml

from dataselect.figures import draw
from tests.figures.made_up import marks
from tests.helpers import ROOT


def test_published_numbers_are_marked_and_as_in_the_tables(small_pool):
    figure = draw(small_pool, ["published"])["published"]
    rows = marks(figure)
    assert {row["task"] for row in rows} == {"gsm8k"}  # the tables have no other of these tasks
    tables = yaml.safe_load((ROOT / "profiles/published.yaml").read_text())
    table = tables["table_1_200k"]
    found = {row["method"]: row["score"] for row in rows if row["of"] == "published: table_1_200k"}
    place = table["columns"].index("gsm8k")
    assert found == {name: table["rows"][name][place] for name in ("random", "rds")}
    assert "not measured here" in figure.caption
    assert "arXiv 2503.01807" in figure.caption


def test_other_tasks_are_left_out(runs):
    reasons = {}
    assert not draw(runs, ["published"], left_out=reasons.__setitem__)
    assert "no published table" in reasons["published"]
