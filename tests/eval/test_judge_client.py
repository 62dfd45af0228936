"""One question to an endpoint: retries, refusals, and what ends a run."""

import itertools
import time
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from dataselect.eval import judge_client
from dataselect.eval.judge import JudgeSettings
from dataselect.eval.judge_client import Endpoint, NoReplyError, Reply
from tests.eval.judge_server import FIRST, judge_server
from tests.helpers import mistake

KEY = "sk-test-0123456789"


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(judge_client, "FIRST_WAIT", 0.001)


def answers(*given):
    """Answers each request with the next of these, and the last one for ever."""
    following = itertools.chain(given, itertools.repeat(given[-1]))
    return lambda _body: next(following)


def ask(server, key=KEY, **changes):
    settings = {"url": server.url, "model": "m", "timeout": 5.0, "retries": 3, **changes}
    with Endpoint(JudgeSettings(**settings), key) as endpoint:
        return endpoint.ask({"model": "m", "messages": []})


def test_a_question_goes_to_chat_completions_with_the_key():
    with judge_server(answers(FIRST)) as server:
        assert ask(server) == Reply(FIRST, "judge-0314", 10)
        ask(server, url=f"{server.url}/chat/completions", key=None)
    assert [body["path"] for body in server.bodies] == ["/v1/chat/completions"] * 2
    assert server.keys == [f"Bearer {KEY}", None]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_pass_is_tried_again(status):
    busy = (status, {"error": {"message": "busy"}}, {"Retry-After": "0"})
    with judge_server(answers(busy, busy, FIRST)) as server:
        assert ask(server).text == FIRST
    assert len(server.bodies) == 3


def test_a_wait_is_as_long_as_the_endpoint_asks(monkeypatch):
    waits = []
    busy = [(429, {}, {"Retry-After": value}) for value in ("7", "100000", "soon")]
    with judge_server(answers(*busy, FIRST)) as server:
        settings = JudgeSettings(url=server.url, model="m", retries=3)
        with Endpoint(settings, KEY) as endpoint:
            monkeypatch.setattr(endpoint.stopped, "wait", lambda seconds: waits.append(seconds))
            endpoint.ask({})
    assert waits == [7.0, judge_client.LONGEST_WAIT, 0.004]  # the last one: doubled twice


def test_a_date_to_wait_for_is_understood():
    date = (datetime.now(UTC) + timedelta(seconds=100)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    response = httpx2.Response(429, headers={"Retry-After": date})
    assert 0 < judge_client._retry_after(response, 900.0) <= 100


def test_after_all_retries_the_last_failure_is_named():
    with (
        judge_server(answers((503, {"error": {"message": "overloaded."}}, {}))) as server,
        pytest.raises(NoReplyError, match=r"status 503: overloaded$"),
    ):
        ask(server, retries=2)
    assert len(server.bodies) == 3


def test_silence_is_tried_again():
    def respond(_body):
        if len(server.bodies) == 1:
            time.sleep(0.3)
        return FIRST

    with judge_server(respond) as server:
        assert ask(server, timeout=0.1).text == FIRST
        server.bodies.clear()
        with pytest.raises(NoReplyError, match=r"no answer within 0\.1 s"):
            ask(server, timeout=0.1, retries=0)


def test_an_endpoint_that_is_not_there_is_named():
    with judge_server(answers(FIRST)) as server:
        pass
    with pytest.raises(NoReplyError, match="refused"):
        ask(server, retries=1)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_ends_at_once_and_is_not_repeated(status):
    body = {"error": {"message": f"Incorrect API key provided: {KEY}."}}
    with judge_server(answers((status, body, {}))) as server:
        message = mistake(ask, server)
    assert f"{server.url} does not accept the key: status {status}" in message
    assert "environment variable OPENAI_API_KEY" in message
    assert KEY not in message
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [301, 404])
def test_a_wrong_address_or_model_ends_at_once(status):
    headers = {"Location": "http://localhost:1/elsewhere"}
    with judge_server(answers((status, {"error": "no such model"}, headers))) as server:
        message = mistake(ask, server)
    assert f"{server.url}/chat/completions: status {status}: no such model. Check" in message
    assert len(server.bodies) == 1


def test_a_question_that_is_not_taken_is_no_error():
    with judge_server(answers((400, {"error": {"message": "too long"}}, {}))) as server:
        assert ask(server) == Reply("", refusal="status 400: too long")


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{"message": {"content": 1}}]}])
def test_another_form_is_tried_again(body):
    with judge_server(answers((200, body, {}), FIRST)) as server:
        assert ask(server).text == FIRST


@pytest.mark.parametrize("key", ["1", "model", "none"])
def test_a_local_servers_key_leaves_answers_as_they_are(key):
    with judge_server(answers(FIRST)) as server:
        assert ask(server, key=key).text == FIRST


def test_a_key_in_an_answer_is_hidden():
    with judge_server(answers(f"your key is {KEY}")) as server:
        assert ask(server).text == "your key is [key]"
