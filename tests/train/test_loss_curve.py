"""The loss curve has every step, whenever it was written and however a run ends."""

import json
from types import SimpleNamespace

import pytest

from dataselect.train import loss_curve as module
from dataselect.train.loss_curve import loss_curve


def run(folder, losses, before=(), fail=False):
    """A training of so many steps as its callback sees it, and the lines of the file after each."""
    lines = []
    state = SimpleNamespace(log_history=list(before))
    with loss_curve(folder) as callback:
        callback.on_train_begin(None, state, None)
        for entry in losses:
            state.log_history.append(entry)
            callback.on_log(None, state, None)
            file = folder / "plots/metrics/loss.tsv"
            lines.append(file.read_text().count("\n") if file.exists() else 0)
        if fail:
            raise ValueError
    return lines


def entries(*steps):
    return [{"loss": step / 8, "step": step} for step in steps]


def written(folder):
    table = (folder / "plots/metrics/loss.tsv").read_text()
    return table, json.loads((folder / "metrics.json").read_text())


def test_a_curve_written_in_parts_is_the_one_written_step_by_step(in_scratch, monkeypatch):
    seldom = run(in_scratch / "seldom", entries(1, 2, 3))
    monkeypatch.setattr(module, "SECONDS_BETWEEN_WRITINGS", 0.0)
    always = run(in_scratch / "always", entries(1, 2, 3))
    assert (seldom, always) == ([2, 2, 2], [2, 3, 4])
    assert written(in_scratch / "seldom") == written(in_scratch / "always")
    assert written(in_scratch / "always") == (
        "step\tloss\n1\t0.125\n2\t0.25\n3\t0.375\n",
        {"loss": 0.375, "step": 3},
    )


def test_a_run_that_fails_leaves_the_losses_of_all_its_steps(in_scratch):
    with pytest.raises(ValueError):
        run(in_scratch / "curve", entries(1, 2, 3), fail=True)
    assert written(in_scratch / "curve")[0].endswith("2\t0.25\n3\t0.375\n")


def test_a_run_that_goes_on_writes_what_was_before_and_skipped_steps_have_no_loss(in_scratch):
    skipped = [{"skipped": True, "step": 3}, {"train_loss": 1.0, "step": 4}]
    run(in_scratch / "curve", [*entries(2), *skipped, *entries(4)], before=entries(1))
    assert written(in_scratch / "curve") == (
        "step\tloss\n1\t0.125\n2\t0.25\n4\t0.5\n",
        {"loss": 0.5, "step": 4},
    )


def test_a_process_that_does_not_train_writes_nothing(in_scratch):
    with loss_curve(in_scratch / "curve"):
        pass
    assert not (in_scratch / "curve").exists()
