"""S2L's figures: trajectories, and the purity of clusters."""

import numpy as np
import pytest

from dataselect.errors import InputError
from dataselect.figures import draw
from dataselect.figures.purity import cluster_purity, nearest
from tests.figures.made_up import marks
from tests.figures.made_up_outputs import CHECKPOINTS


def test_rows_of_a_cluster_are_drawn_with_their_mean(small_pool):
    rows = marks(draw(small_pool, ["trajectories"])["trajectories"])
    clusters = {row["cluster"] for row in rows}
    assert len(clusters) == 2
    last = {
        row["cluster"]: row["loss"]
        for row in rows
        if (row["row"], row["checkpoint"]) == ("mean", CHECKPOINTS)
    }
    slow, fast = max(last.values()), min(last.values())
    assert slow - fast > 0.5  # the made-up clusters fall fast or slowly
    assert len({row["row"] for row in rows}) <= 2 * 25 + 1


def test_purity_and_variance_by_hand(small_pool):
    assert cluster_purity(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 6])) == 0.75
    centres = np.array([[0.0, 0.0], [3.0, 3.0]])
    assert nearest(np.array([[1.0, 1.0], [2.0, 2.0]]), centres).tolist() == [0, 1]
    rows = marks(draw(small_pool, ["purity"])["purity"])
    sources = [row for row in rows if "source" in row]
    assert len(sources) == 4
    assert all(row["explained"] > 0.8 for row in sources)  # two tight clusters in each


def test_the_label_may_be_another_column_of_the_pool(small_pool):
    figure = draw(small_pool, ["purity"], label="topic")["purity"]
    assert "most frequent topic" in figure.caption
    with pytest.raises(InputError, match="no column `topics`"):
        draw(small_pool, ["purity"], label="topics")


def test_without_clusters_they_are_left_out(small_pool):
    reasons = {}
    others = [run for run in small_pool if run.method != "s2l"]
    assert not draw(others, ["trajectories", "purity"], left_out=reasons.__setitem__)
    assert all("no run has clusters" in reason for reason in reasons.values())
