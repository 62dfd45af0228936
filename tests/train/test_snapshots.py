"""Checkpoints along a fit: after which steps, and with which learning rates."""

from types import SimpleNamespace

import pytest

from dataselect.train.snapshots import collect_checkpoints, snapshot_steps


def test_snapshots_are_evenly_spaced_and_end_with_the_last_step():
    assert snapshot_steps(12, 3) == [4, 8, 12]
    assert snapshot_steps(10, 4) == [2, 5, 8, 10]
    assert snapshot_steps(2, 12) == [1, 2]  # never more than there are steps
    assert len(snapshot_steps(6141, 12)) == 12


def test_a_checkpoint_has_the_mean_learning_rate_of_the_steps_since_the_one_before(tmp_path):
    history = [{"step": step, "learning_rate": float(step)} for step in range(1, 6)]
    state = SimpleNamespace(max_steps=5, log_history=[*history, {"step": 5, "train_runtime": 1}])
    checkpoints = collect_checkpoints(tmp_path, 2, SimpleNamespace(state=state))
    assert [path.name for path, _ in checkpoints] == ["00", "01"]
    assert [rate for _, rate in checkpoints] == pytest.approx([1.5, 4.0])
