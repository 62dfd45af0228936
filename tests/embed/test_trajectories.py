"""Trajectories: the losses at every checkpoint, in training order, under the proxy's own tokens."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dataselect.data.checkpoints import Checkpoint
from dataselect.embed.losses import losses
from dataselect.embed.trajectories import trajectories
from dataselect.models.chat import load_chat
from dataselect.reference.proxy import proxy
from tests.embed import Costs, measure
from tests.helpers import GOLDEN, MODEL, ROOT
from tests.packed_rows import pack_on_cpu
from tests.reference import write_pool

SHORT = replace(MODEL, max_tokens=256)


@pytest.fixture(scope="module")
def rows():
    return pl.read_parquet(GOLDEN / "pool.parquet").head(40)["messages"].to_list()


@pytest.mark.slow
def test_they_are_the_losses_at_every_checkpoint_in_training_order(rows, tmp_path):
    write_pool(tmp_path / "pool.parquet", 40)
    few = {"epochs": 2, "checkpoints": 3, "learning_rate": 5e-3, "batch_size": 8}
    reference = proxy(seed=0, micro_batch_size=8, **few)
    fitted = reference.fit(SHORT, tmp_path / "pool.parquet", tmp_path).checkpoints
    assert [checkpoint.folder.name for checkpoint in fitted] == ["00", "01", "02"]
    costs = Costs()
    found = measure(trajectories(), rows, SHORT, fitted, progress=costs)
    assert found["nll"].shape == found["probability"].shape == (40, 3)
    for number, checkpoint in enumerate(fitted):
        alone = measure(losses(), rows, replace(SHORT, name=str(checkpoint.folder)))
        np.testing.assert_allclose(found["nll"][:, number], alone["response_nll"], rtol=1e-6)
        np.testing.assert_allclose(found["probability"][:, number], alone["probability"], rtol=1e-6)
    before = measure(losses(), rows, SHORT)
    np.testing.assert_allclose(found["before_nll"], before["response_nll"], rtol=1e-6)
    course = np.nanmean(np.column_stack([found["before_nll"], found["nll"]]), axis=0)
    assert (np.diff(course) < 0).all()  # it learns
    assert costs.rows == 40
    half = len(costs.calls) // 2
    assert sum(costs.calls[:half]) == pytest.approx(20)  # every model's pass counts
    assert costs.tokens == 4 * sum(len(row.ids) for row in load_chat(SHORT).encode(rows))


def test_a_proxy_may_have_a_tokenizer_of_its_own(rows, monkeypatch):
    """Rows are passed on as text: losses are those under the proxy's own tokens."""
    monkeypatch.chdir(ROOT)
    other = replace(SHORT, name="demo/base_model")
    tokens = [load_chat(model).encode(rows[:1])[0].ids.tolist() for model in (SHORT, other)]
    assert tokens[0] != tokens[1]
    found = measure(trajectories(), rows[:4], other)
    expected = measure(losses(), rows[:4], other)
    np.testing.assert_allclose(found["before_nll"], expected["response_nll"], rtol=1e-6)


def test_trajectories_of_packed_rows_equal_those_of_padded_ones(rows, monkeypatch):
    checkpoints = [Checkpoint(Path(MODEL.name), 1.0)]
    padded = measure(trajectories(), rows[:12], SHORT, checkpoints)
    pack_on_cpu(monkeypatch, 600)
    costs = Costs()
    packed = measure(trajectories(), rows[:12], SHORT, checkpoints, progress=costs)
    assert set(packed) == set(padded) and np.nanmin(padded["nll"]) > 0
    for name, values in padded.items():
        np.testing.assert_allclose(packed[name], values, rtol=1e-5, atol=1e-6)
    assert costs.rows == pytest.approx(12) and len(costs.calls) > 4


def test_its_contract():
    feature = trajectories()
    assert feature.needs_reference == "models"
    assert feature.bytes_per_row(None, 12) == 8 * 13
    assert set(feature.per_checkpoint) | {"before_nll", "before_probability"} == set(
        feature.outputs
    )
    assert feature.other_passes == 1  # costs are those of the losses before the first step too
