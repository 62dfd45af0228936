"""Secrets in params.yaml and methods.yaml are refused before anything is written."""

import pytest
import yaml

from tests.helpers import GOLDEN, change, mistake, planned

TOKEN = "hf_" + "AbCdEf0123456789" * 2
MODEL = {"name": str(GOLDEN / "tiny-llama")}


@pytest.mark.parametrize(
    ("settings", "place", "secret"),
    [
        ({"model": {**MODEL, "token": "abcdefgh"}}, "model.token", "abcdefgh"),
        ({"selector_model": {"name": TOKEN}}, "selector_model.name", TOKEN),
        ({"model": {"name": f"https://{TOKEN}@huggingface.co/a/b"}}, "model.name", TOKEN),
        ({"pool": {"path": ["a.jsonl", "https://me:pa55@host/p.jsonl"]}}, "pool.path", "pa55"),
        ({"pool": {"path": "https://h/p.jsonl?X-Amz-Signature=ab12"}}, "pool.path", "ab12"),
        ({"aws_secret_access_key": "wJalrK7MDENG"}, "aws_secret_access_key", "wJalrK7MDENG"),
        ({"engine": {"ray": {"api_key": "wJalrK7MDENG"}}}, "engine.ray.api_key", "wJalrK7MDENG"),
        ({"eval": {"kinds": {"sums": TOKEN}}}, "eval.kinds.sums", TOKEN),
    ],
)
def test_a_secret_in_params_is_refused_and_not_shown(home, settings, place, secret):
    change(settings)
    message = mistake(planned)
    assert message.startswith(f"params.yaml: {place}: found a token, key or password")
    assert secret not in message
    assert "HF_TOKEN" in message
    assert "AWS_SECRET_ACCESS_KEY" in message


def test_a_secret_in_methods_is_refused(home):
    methods = yaml.safe_load((home / "methods.yaml").read_text())
    methods["rds"]["model"] = {"name": "a/b", "token": "abcdefgh"}
    (home / "methods.yaml").write_text(yaml.safe_dump(methods))
    assert mistake(planned).startswith("methods.yaml: rds.model.token: found a token")


def test_names_of_the_users_data_are_no_secrets(home):
    (home / "hf_pool_of_our_own_rows.jsonl").write_text((home / "pool.jsonl").read_text())
    change({
        "pool": {"path": "hf_pool_of_our_own_rows.jsonl", "keep": ["answer_key"]},
        "eval": {"kinds": {"answer_key": "exact_match"}},
        "train": {"loss_per": "token"},
        "budget": {"tokens": 500},
    })  # fmt: skip
    assert planned().dedup.pool[0].path == "hf_pool_of_our_own_rows.jsonl"
