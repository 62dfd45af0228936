"""What the chosen method ignores of params.yaml is reported, not refused."""

import pytest

from dataselect.plan.ignored import ignored_keys
from dataselect.plan.params import read_yaml
from tests.helpers import GOLDEN, ROOT, change, planned

OTHER = str(ROOT / "demo/base_model")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"method": "random"}, None),
        ({"method": "random", "groups": "auto", "selector_model": None}, None),
        ({"method": "random", "selector_model": {"name": OTHER}}, "selector_model"),
        (
            {"method": "random", "selector_model": {"max_tokens": 9}, "groups": "tasks"},
            "selector_model, groups",
        ),
        ({"method": "rds", "selector_model": {"name": OTHER}, "groups": "tasks"}, None),
        ({"method": "top_ppl", "groups": "queries"}, "groups"),
        ({"method": "s2l", "selector_model": {"name": OTHER, "max_tokens": 256}}, None),
        (
            {"method": "s2l", "selector_model": {"name": OTHER, "max_tokens": 1000}},
            "selector_model.max_tokens",  # the method's limit of 512 is lower
        ),
        (
            {
                "method": "random",
                "tests": None,
                "decontaminate": None,
                "eval": {"judge": {"url": "https://judge.example.com", "model": "m"}},
            },
            "eval.judge (there are no tests)",
        ),
        ({"method": "mine", "selector_model": {"name": OTHER}}, "selector_model"),
        ({"method": "fixed", "groups": "tasks"}, "groups"),
    ],
)
def test_what_a_method_ignores_is_named(home, settings, expected):
    parts = {"features": "hidden_states", "aggregator": "round_robin"}
    own = {**parts, "scorer": "cosine", "model": {"name": str(GOLDEN / "tiny-llama")}}
    fixed = {**parts, "scorer": {"cosine": {"groups": "queries"}}}
    change({"mine": own, "fixed": fixed}, "methods.yaml")
    change(settings)
    line = ignored_keys(read_yaml("params.yaml"), planned())
    assert line == (expected and f"ignored by `{settings['method']}`: {expected}")


def test_the_plan_stage_prints_it(home, capsys):
    import runpy

    change({"selector_model": {"name": OTHER}})
    runpy.run_path(str(ROOT / "stages/plan.py"), run_name="script")["main"]()
    assert "ignored by `random`: selector_model" in capsys.readouterr().out.splitlines()
