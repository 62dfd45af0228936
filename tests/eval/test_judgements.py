"""Many questions to a judge: each once, kept, and what ends a run."""

import threading

import pytest

from dataselect.data import files
from dataselect.eval import judge_client, judgements
from dataselect.eval.judge import JudgeSettings
from dataselect.eval.judge_client import Reply
from dataselect.eval.judge_prompt import JudgePrompt, Pair, model_first
from dataselect.eval.judgements import judge_pairs
from tests.eval.judge_server import FIRST, SECOND, judge_server
from tests.helpers import mistake

PROMPT = JudgePrompt(user="{instruction}|{output_1}|{output_2}")


@pytest.fixture(autouse=True)
def here(in_scratch, monkeypatch):
    monkeypatch.setattr(judge_client, "FIRST_WAIT", 0.001)
    return in_scratch


def pairs(count):
    return [Pair(f"instruction {i}", f"good {i}", f"bad {i}") for i in range(count)]


def prefer_good(body):
    """The judge prefers the output that is called good, wherever it stands."""
    _, first, _ = body["messages"][-1]["content"].split("|")
    return FIRST if first.startswith("good") else SECOND


def judge(server, given, **changes):
    settings = {"url": server.url, "model": "m", "retries": 1, "parallel": 3, **changes}
    return judge_pairs(given, PROMPT, JudgeSettings(**settings), "sk-0123456789")


def preferences(found):
    return [judgement.preference for judgement in found]


def number(body):
    return int(body["messages"][-1]["content"].split("|")[0].split()[1])


def test_the_better_output_wins_wherever_it_stands():
    given = pairs(8)
    assert {model_first(pair.instruction) for pair in given} == {True, False}
    worse = [Pair(pair.instruction, pair.reference, pair.output) for pair in given]
    with judge_server(prefer_good) as server:
        assert preferences(judge(server, given)) == [1.0] * 8
        assert preferences(judge(server, worse)) == [0.0] * 8
    body = server.bodies[0]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 100, 0.0)


def test_equal_outputs_are_a_draw_and_equal_questions_are_put_once():
    (pair,) = pairs(1)
    with judge_server(prefer_good) as server:
        found = judge(server, [pair, Pair("i", "same", "same"), pair])
    assert preferences(found) == [1.0, 0.5, 1.0]
    assert found[1].reply is None
    assert len(server.bodies) == 1


def test_an_answer_is_not_asked_for_again_but_for_another_judge_or_request():
    with judge_server(prefer_good) as server:
        first = judge(server, pairs(4))
        assert judge(server, pairs(4), parallel=1, timeout=9.0, price=1.0) == first
        assert len(server.bodies) == 4
        judge(server, pairs(4), model="other")
        judge(server, pairs(4), request={"max_tokens": None, "max_completion_tokens": 500})
    assert len(server.bodies) == 12
    assert server.bodies[-1]["max_completion_tokens"] == 500
    assert "max_tokens" not in server.bodies[-1]


def test_nonsense_is_asked_for_once_more_and_then_left_out():
    def respond(body):
        return "both are nice" if number(body) == 2 else prefer_good(body)

    with judge_server(respond) as server:
        found = judge(server, pairs(4))
        assert preferences(found) == [1.0, 1.0, None, 1.0]
        assert found[2].reply == Reply("both are nice", "judge-0314", 20)
        assert len(server.bodies) == 5
        assert judge(server, pairs(4)) == found
    assert len(server.bodies) == 5


def test_a_second_answer_counts():
    seen = []

    def respond(body):
        seen.append(number(body))
        return prefer_good(body) if seen.count(number(body)) > 1 else "hm"

    with judge_server(respond) as server:
        assert preferences(judge(server, pairs(3))) == [1.0] * 3


def test_nothing_but_nonsense_ends_the_run():
    with judge_server(lambda _body: "I cannot decide") as server:
        message = mistake(judge, server, pairs(3))
    assert "none of 3 questions got an answer that can be used; the first: an answer" in message
    assert "'I cannot decide'" in message


def test_a_run_that_fails_says_how_far_it_came_and_goes_on_from_there():
    broken = threading.Event()
    broken.set()

    def respond(body):
        return (503, {}, {}) if broken.is_set() and number(body) == 7 else prefer_good(body)

    with judge_server(respond) as server:
        message = mistake(judge, server, pairs(8), parallel=1)
        assert (
            "7 of 8 questions are answered; another was not, after 1 retries: status 503" in message
        )
        assert "run `dvc repro` again, and it goes on from there" in message
        server.bodies.clear()
        broken.clear()
        assert preferences(judge(server, pairs(8))) == [1.0] * 8
    assert [number(body) for body in server.bodies] == [7]


def test_a_killed_run_asks_nothing_twice(monkeypatch):
    with judge_server(prefer_good) as server:
        with monkeypatch.context() as patch:
            patch.setattr(judgements, "_check_refusals", interrupt_at(3))
            with pytest.raises(KeyboardInterrupt):
                judge(server, pairs(30), parallel=2)
        kept = {number(body) for body in server.bodies}
        assert 3 <= len(kept) < 30
        before = len(server.bodies)
        judge(server, pairs(30))
    assert before == len(kept)
    assert not kept & {number(body) for body in server.bodies[before:]}
    assert len(server.bodies) == 30


def interrupt_at(count):
    def check(replies):
        if len(replies) == count:
            raise KeyboardInterrupt

    return check


def test_a_wrong_key_ends_the_run_at_once():
    with judge_server(lambda _body: (401, {"error": "no"}, {})) as server:
        assert "does not accept the key" in mistake(judge, server, pairs(50))
    assert len(server.bodies) <= 6  # those under way


def test_a_refused_question_is_left_out_and_put_again_next_time():
    filtered = (400, {"error": {"message": "filtered"}}, {})

    def respond(body):
        return filtered if number(body) == 1 else prefer_good(body)

    with judge_server(respond) as server:
        found = judge(server, pairs(3))
        assert preferences(found) == [1.0, None, 1.0]
        assert found[1].reply == Reply("", refusal="status 400: filtered")
        server.bodies.clear()
        judge(server, pairs(3))
    assert [number(body) for body in server.bodies] == [1]


def test_refused_questions_do_not_end_a_run_that_has_answers():
    filtered = (400, {"error": {"message": "filtered"}}, {})

    def respond(body):
        return filtered if number(body) < 6 else prefer_good(body)

    with judge_server(respond) as server:
        first = preferences(judge(server, pairs(12)[::-1]))
        assert preferences(judge(server, pairs(12)[::-1])) == first
    assert first == [1.0] * 6 + [None] * 6


def test_an_endpoint_that_refuses_everything_ends_the_run():
    with judge_server(lambda _body: (400, {"error": "unknown field"}, {})) as server:
        message = mistake(judge, server, pairs(40))
    assert "refused the first 5 questions: status 400: unknown field" in message
    assert len(server.bodies) < 40


def test_a_broken_file_of_an_earlier_answer_is_no_answer():
    with judge_server(prefer_good) as server:
        judge(server, pairs(1))
        (path,) = (files.scratch_folder() / "judge").rglob("*.json")
        path.write_text('{"text": ')
        assert preferences(judge(server, pairs(1))) == [1.0]
    assert len(server.bodies) == 2
