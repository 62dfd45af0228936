"""Drawn outputs: by hand, with the right frequencies, and the same in every batch."""

import numpy as np
import pytest
import torch

from dataselect.eval.sampling import Draws, sampling_settings
from dataselect.numerics.draws import derived_seed


def drawn(names, logits, seed=0):
    return Draws(names, seed)(torch.zeros(len(names), 1), logits).argmax(-1).tolist()


def test_a_token_is_drawn_by_its_stream():
    probabilities = torch.tensor([0.2, 0.5, 0.3])
    draws = Draws(["a", "b"], seed=3)
    streams = [np.random.default_rng(derived_seed(3, f"output\n{name}")) for name in "ab"]
    for _ in range(20):
        logits = draws(torch.zeros(2, 1), probabilities.log().expand(2, 3))
        numbers = [stream.random() for stream in streams]
        expected = [0 if number < 0.2 else 1 if number < 0.7 else 2 for number in numbers]
        assert logits.argmax(-1).tolist() == expected
        assert (logits > -torch.inf).sum(-1).tolist() == [1, 1]


def test_frequencies_are_the_probabilities():
    names = [str(number) for number in range(20_000)]
    probabilities = torch.tensor([0.1, 0.6, 0.0, 0.3])
    tokens = drawn(names, probabilities.log().expand(len(names), 4))
    found = np.bincount(tokens, minlength=4) / len(names)
    assert found == pytest.approx(probabilities.numpy(), abs=0.012)  # some 3.5 deviations
    assert found[2] == 0


def test_a_row_does_not_depend_on_its_batch():
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    names = list("abcdef")
    together = drawn(names, logits)
    assert [
        drawn([name], row[None])[0] for name, row in zip(names, logits, strict=True)
    ] == together
    assert drawn(names[::-1], logits.flip(0)) == together[::-1]
    assert drawn(names, logits, seed=1) != together


def test_temperature_and_shares_come_before_the_draw():
    given = {"do_sample": True, "temperature": 0.5, "top_p": 0.7, "top_k": 0, "use_cache": True}
    settings = sampling_settings(given, ["a"], 0)
    assert set(settings) == {"do_sample", "use_cache", "logits_processor"}
    assert settings["do_sample"] is False
    *steps, draws = settings["logits_processor"]
    assert isinstance(draws, Draws)
    logits = torch.tensor([[0.4, 0.35, 0.25]]).log()
    for step in steps:
        logits = step(torch.zeros(1, 1), logits)
    # At half the temperature the shares are squared: 0.46, 0.36, 0.18; the third is beyond 0.7.
    assert logits.softmax(-1)[0].tolist() == pytest.approx([0.56637, 0.43363, 0], abs=1e-4)
