"""S2L's proxy: fitted on every row, with evenly spaced checkpoints that load as models."""

from dataclasses import replace

import numpy as np
import pytest

from dataselect.models.load import load_causal, load_tokenizer
from dataselect.numerics.draws import derived_seed
from dataselect.reference.proxy import proxy
from tests.helpers import MODEL
from tests.reference import write_pool

SHORT = replace(MODEL, max_tokens=256)


@pytest.mark.slow
def test_its_rates_are_those_of_its_schedule_and_its_checkpoints_load(tmp_path):
    write_pool(tmp_path / "pool.parquet", 24)
    few = {"epochs": 2, "checkpoints": 2, "learning_rate": 1e-3, "batch_size": 2}
    reference = proxy(seed=0, warmup=0.25, micro_batch_size=2, **few)
    done = reference.fit(SHORT, tmp_path / "pool.parquet", tmp_path)
    total = done.steps
    warm = -(-total // 4)
    after = [(step - warm) / (total - warm) for step in range(warm, total)]
    rates = [step / warm for step in range(warm)]
    rates += [(1 + np.cos(np.pi * part)) / 2 for part in after]
    half = total // 2
    expected = [1e-3 * np.mean(rates[:half]), 1e-3 * np.mean(rates[half:])]
    np.testing.assert_allclose([c.mean_learning_rate for c in done.checkpoints], expected)
    model = replace(MODEL, name=str(done.checkpoints[-1].folder))
    assert load_causal(model).num_parameters() == load_causal(MODEL).num_parameters()
    assert load_tokenizer(model).get_vocab() == load_tokenizer(MODEL).get_vocab()


def test_its_contract():
    reference = proxy(seed=1, batch_size=6, micro_batch_size=4, epochs=2)
    assert (reference.produces, reference.checkpoints) == ("models", 12)
    assert reference.rows_passed(10) == 20.0
    recipe = reference.recipe
    assert (recipe.method, recipe.schedule) == ("full", "cosine")
    assert recipe.seed == derived_seed(1, "proxy")
    assert (recipe.batch_size, recipe.micro_batch_size) == (6, 2)
