"""Losses by their definition; against the published numbers in test_golden."""

import numpy as np
import pytest
import torch

from dataselect.models.batches import Batches
from dataselect.models.chat import Chat, load_chat
from dataselect.models.load import load_causal
from dataselect.models.nll import response_only_loss, token_losses
from tests.helpers import MODEL
from tests.models.test_chat import PLAIN, SYSTEM, TURNS, with_template
from tests.models.test_parts import USER_FIRST

ROWS = [TURNS, TURNS[1:3], TURNS[3:], TURNS[:2]]  # the last without a response


@pytest.fixture(scope="module")
def net():
    return load_causal(MODEL)


@pytest.fixture(scope="module")
def chat():
    return load_chat(MODEL)


def by_definition(net, row):
    """−log p of each token but the first, given those before it."""
    ids = torch.from_numpy(row.ids.astype(np.int64))
    with torch.inference_mode():
        logp = net(ids[None]).logits[0, :-1].log_softmax(-1)
    return -logp[torch.arange(len(ids) - 1), ids[1:]].double().numpy()


def test_losses_are_means_over_a_rows_tokens(net, chat):
    rows = chat.encode(ROWS)
    losses = token_losses(net, rows, full=True)
    for number, row in enumerate(rows):
        nll, response = by_definition(net, row), row.response[1:]
        assert losses.full[number] == pytest.approx(nll.mean(), rel=1e-5)
        assert losses.prompt[number] == pytest.approx(nll[~response].mean(), rel=1e-5)
        if response.any():
            assert losses.response[number] == pytest.approx(nll[response].mean(), rel=1e-5)
            probability = np.exp(-nll[response]).mean()
            assert losses.probability[number] == pytest.approx(probability, rel=1e-5)
    assert np.isnan([losses.response[3], losses.probability[3]]).all()


def test_without_full_only_the_responses_are_measured(net, chat):
    rows = chat.encode(ROWS)
    losses, expected = token_losses(net, rows), token_losses(net, rows, full=True)
    np.testing.assert_allclose(losses.response, expected.response, rtol=1e-5)
    np.testing.assert_allclose(losses.probability, expected.probability, rtol=1e-5)
    assert np.isnan([losses.full, losses.prompt]).all()


def test_a_loss_does_not_depend_on_its_batch(net, chat):
    rows = chat.encode(ROWS)
    together = token_losses(net, rows).response
    alone = np.concatenate([token_losses(net, [row]).response for row in rows])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_progress_counts_rows_tokens_and_flops(net, chat):
    rows, counts = chat.encode(ROWS), []
    token_losses(net, rows, lambda *cost: counts.append(cost), batches=Batches(40))
    assert len(counts) > 1
    done, tokens, flops = np.sum(counts, axis=0)
    assert (done, tokens) == (4, sum(len(row.ids) for row in rows))
    assert flops > 0


@pytest.mark.parametrize("template", [None, SYSTEM + USER_FIRST + PLAIN], ids=["tulu", "model"])
def test_both_losses_of_ifd_are_over_the_same_tokens(net, chat, monkeypatch, template):
    if template:
        chat = Chat(with_template(chat.tokenizer, template), "model", 512)
    measured = []

    def record(net, rows, *args, **kwargs):
        measured.extend(rows)
        return token_losses(net, rows, *args, **kwargs)

    monkeypatch.setattr("dataselect.models.nll.token_losses", record)
    direct = response_only_loss(net, chat, [TURNS], Batches(1_024), lambda *_: None)
    (row,) = chat.encode([TURNS])
    alone = [token for turn in measured for token in turn.ids[turn.response].tolist()]
    assert alone == row.ids[row.response].tolist()
    nll = [by_definition(net, turn)[turn.response[1:]] for turn in measured]
    assert direct[0] == pytest.approx(np.concatenate(nll).mean(), rel=1e-5)


def test_a_response_alone_follows_the_bare_header(net, chat):
    counts = []
    direct = response_only_loss(net, chat, ROWS, Batches(1_024), lambda *cost: counts.append(cost))
    (alone,) = chat.encode([TURNS[2:3]])
    nll = by_definition(net, alone)[alone.response[1:]]
    assert direct[1] == pytest.approx(nll.mean(), rel=1e-5)
    assert np.isnan(direct[3])
    assert sum(rows for rows, *_ in counts) == pytest.approx(len(ROWS))
    assert sum(tokens for _, tokens, _ in counts) > 0
