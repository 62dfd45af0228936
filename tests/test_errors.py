"""Messages: what a library put into its error is shown without secrets."""

import pickle
import re
import tomllib

import pytest

from dataselect.errors import (
    InputError,
    did_you_mean,
    first_few,
    install_extra,
    without_secrets,
)
from tests.helpers import ROOT

TOKEN = "hf_" + "AbCdEf0123456789" * 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"401 for {TOKEN}.", "401 for …."),
        ("https://me:pass@host/a", "https://…@host/a"),
        (f"https://{TOKEN}@host/a", "https://…@host/a"),
        ("s3://b/k?X-Amz-Signature=ab12&X-Amz-Date=3&x=1",
         "s3://b/k?X-Amz-Signature=…&X-Amz-Date=…&x=1"),
        ("https://h/f?Policy=eyJ&Signature=a~b&Key-Pair-Id=K3",
         "https://h/f?Policy=…&Signature=…&Key-Pair-Id=…"),
        ("key AKIAABCDEFGHIJKLMNOP", "key …"),
        ("data/hf_downloads/pool.jsonl?x=1, me@host", "data/hf_downloads/pool.jsonl?x=1, me@host"),
    ],
)  # fmt: skip
def test_a_secret_in_a_text_is_not_shown(text, shown):
    assert without_secrets(text) == shown
    assert str(InputError(text)) == shown


def test_the_values_of_secret_variables_are_not_shown(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalr/K7MDENG+bPxRfiCY")
    monkeypatch.setenv("HF_TOKEN", "a")  # too short to be one: every text has it
    assert str(InputError("a key wJalr/K7MDENG+bPxRfiCY is wrong")) == "a key … is wrong"


def test_an_error_travels_between_processes():
    assert str(pickle.loads(pickle.dumps(InputError("budget: 3")))) == "budget: 3"


def test_an_extra_is_one_of_the_packages():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"install_extra\('([\w-]+)'\)", source))
    assert source.count("pip install 'dataselect[") == 1  # in the helper
    assert {"bitsandbytes", "ray"} <= named <= set(extras)
    assert install_extra("ray").startswith("pip install 'dataselect[ray]' (")


def test_a_message_shows_the_signs_for_control_characters():
    assert str(InputError("row `\x1b[2J\x9b1m`:\n- fix it")) == "row `␛[2J�1m`:\n- fix it"


def test_the_middle_of_a_long_message_is_left_out():
    message = str(InputError(f"tests.jsonl:3: found {'a' * 10_000}. Fix the row."))
    assert len(message) < 4_000
    assert message.startswith("tests.jsonl:3: found aaa")
    assert message.endswith("aaa. Fix the row.")


def test_long_names_and_many_names_are_cut_in_lists():
    assert first_few(["a" * 999]) == "a" * 199 + "…"
    hint = did_you_mean("x9", [f"x{number}" for number in range(1_000)])
    assert hint.startswith("Did you mean `x9`? There are: x0, x1, x2, ")
    assert hint.endswith(", x59 and 940 more.")
    assert did_you_mean("a", []) == "There are: none."
