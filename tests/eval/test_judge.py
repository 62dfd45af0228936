"""The block `eval.judge`: which addresses and keys are taken."""

import pytest

from dataselect.eval.judge import JudgeSettings, missing_key, read_judge, read_key
from tests.helpers import mistake


def judge(**changes):
    return {"url": "https://api.openai.com/v1", "model": "gpt-4", **changes}


@pytest.mark.parametrize(
    "url",
    [
        "https://judge.example.com/v1",
        "http://localhost:8000/v1",
        "http://127.0.0.1/v1",
        "http://[::1]:8000/v1",
        "http://192.168.3.4:8000",
        "http://gpu-1:8000/v1",
    ],
)
def test_https_and_private_addresses_are_taken(url):
    assert read_judge(judge(url=url)).url == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://judge.example.com/v1", "expected https for `judge.example.com`; found http"),
        ("http://8.8.8.8/v1", "expected https for `8.8.8.8`"),
        ("http://134744072/v1", "expected https for `134744072`"),  # 8.8.8.8 as a number
        ("ftp://localhost/v1", "expected an address like https://"),
        ("api.openai.com/v1", "expected an address like https://"),
        ("https://me:secret@judge.example.com/v1", "without a user, a password"),
        ("https://judge.example.com/v1?key=secret", "without a user, a password"),
        ("https://judge.example.com:port/v1", "no address"),
    ],
)
def test_other_addresses_are_refused_without_repeating_a_secret(url, expected):
    message = mistake(read_judge, judge(url=url))
    assert message.startswith("params.yaml: eval.judge.url: ")
    assert expected in message
    assert "secret" not in message


def test_a_key_in_place_of_its_variables_name_is_refused_and_not_shown():
    message = mistake(read_judge, judge(api_key_env="sk-abc123"))
    assert message.startswith("params.yaml: eval.judge.api_key_env: expected the name of an env")
    assert "abc123" not in message


def test_unknown_and_fixed_settings_are_refused():
    assert "unknown setting `modell`" in mistake(read_judge, {"url": "x", "modell": "y"})
    assert "eval.judge.url: missing" in mistake(read_judge, {"model": "y"})
    message = mistake(read_judge, judge(request={"model": "other"}))
    assert "`model` cannot be set here" in message
    assert read_judge(None) is None


def test_the_key_is_read_from_the_environment(monkeypatch):
    settings = JudgeSettings(**judge(api_key_env="A_JUDGES_KEY"))
    monkeypatch.delenv("A_JUDGES_KEY", raising=False)
    assert "the environment variable A_JUDGES_KEY is not set" in mistake(read_key, settings)
    assert "A_JUDGES_KEY is not set" in missing_key(settings)
    monkeypatch.setenv("A_JUDGES_KEY", " sk-1\n")
    assert read_key(settings) == "sk-1"
    assert missing_key(settings) is None
    monkeypatch.setenv("A_JUDGES_KEY", "sk 1")
    message = mistake(read_key, settings)
    assert "A_JUDGES_KEY holds blanks" in message
    assert "sk" not in message
    without = JudgeSettings(**judge(api_key_env=None))
    assert read_key(without) is None
    assert missing_key(without) is None
    assert missing_key(None) is None
