"""The block `mix`, and a budget in tokens, in the plan."""

import pytest

from dataselect.aggregate.run import AggregateSection
from dataselect.data.budget import TokenBudget, budget_label
from dataselect.data.mix import MixSettings
from dataselect.plan.params import read_yaml
from dataselect.settings import from_json
from tests.helpers import change, mistake, planned


def refused(**settings):
    change(settings)
    return mistake(planned)


def test_a_mix_and_a_budget_in_tokens_reach_the_stages(home):
    mix = {"sources": {"a": "30%"}, "tasks": {"sums": 2}, "epochs": {"a": 3}}
    change({"method": "rds", "budget": {"tokens": 5_000}, "mix": mix})
    sections = planned()
    assert sections.aggregate.mix == MixSettings(**mix) == sections.reference.mix
    assert sections.aggregate.budget == TokenBudget(tokens=5_000) == sections.reference.budget
    assert sections.aggregate.tokenizer == sections.dedup.model
    assert sections.eval.run.budget == "5000 tokens"
    given = {"aggregator": vars(sections.aggregate.aggregator), "budget": {"tokens": 5_000}}
    assert from_json(AggregateSection, {**given, "code": ""}).budget == TokenBudget(tokens=5_000)


def test_a_budget_in_rows_needs_no_tokenizer(home):
    assert planned().aggregate.tokenizer is None
    assert planned().aggregate.mix is None
    assert budget_label("5%") == "5%"


@pytest.mark.parametrize(
    "given", [{"tokens": 0}, {"tokens": "5%"}, {"tokens": True}, {"token": 5}, {}, {"tokens": 1.5}]
)
def test_a_wrong_number_of_tokens_is_refused(home, given):
    assert refused(budget=given) == (
        "params.yaml: budget: expected `{tokens: N}`, N a whole number above 0; found "
        f"{given!r}. Fix it there."
    )


@pytest.mark.parametrize(
    ("mix", "expected"),
    [
        (
            {"sources": {"a": True}},
            "mix.sources.a: expected a whole number from 0 on, or a share of",
        ),
        (
            {"sources": {"a": "110%"}},
            "mix.sources.a: expected a whole number from 0 on, or a share",
        ),
        ({"sources": {"a": 4}}, "the minimums add up to 4 rows; the budget is 3."),
        ({"sauces": {"a": 4}}, "mix: unknown setting `sauces`. Did you mean `sources`?"),
        ({"epochs": {"a": 0}}, "mix.epochs: expected greater than or equal to 1"),
        ({"tasks": {"sums": 0}}, "mix.tasks.sums: expected a number above 0; found 0. Fix it; to"),
        ({"tasks": {"sums": "two"}}, "mix.tasks: expected"),
    ],
)
def test_a_wrong_mix_is_refused(home, mix, expected):
    assert expected in refused(method="rds", mix=mix)


def test_quotas_in_tokens_are_compared_with_the_budget(home):
    assert "add up to 40 tokens; the budget is 30" in refused(
        budget={"tokens": 30}, mix={"sources": {"a": 40}}
    )


def test_methods_that_cannot_follow_are_named(home):
    assert refused(method="s2l", mix={"sources": {"a": 2}}) == (
        "params.yaml: mix.sources: the aggregator `nested_fill` of the method `s2l` cannot follow "
        "it. Expected `mean_over_tasks` or `round_robin` or `top`. Remove it, or set another "
        "method."
    )
    assert "budget.tokens: the aggregator `nested_fill`" in refused(budget={"tokens": 9}, mix=None)
    assert (
        "mix.sources: the scorer `coverage` of the method `facility_location` ranks no"
        in refused(method="facility_location", budget=3, mix={"sources": {"a": 2}})
    )
    assert refused(budget={"tokens": 9}, mix=None) == (
        "params.yaml: budget: the scorer `coverage` of the method `facility_location` expects a "
        "number of rows or a share; found 9 tokens. Set one, or another method."
    )


def test_weights_are_for_tasks_in_turns(home):
    weights = {"tasks": {"sums": 2}}
    assert "mix.tasks: the aggregator `top` of the method `random` cannot follow it." in refused(
        method="random", mix=weights
    )
    assert (
        "mix.tasks: the method `random_balanced` compares rows with no task's queries"
        in refused(method="random_balanced", mix=weights)
    )
    assert refused(method="rds", tasks=["sums"], mix={"tasks": {"sum": 2}}) == (
        "params.yaml: mix.tasks: no query is of a task `sum`. Did you mean `sums`? There are: sums."
    )
    message = "params.yaml: mix.tasks: no query is of a task `sum`."
    assert refused(method="rds", tasks="all", mix={"tasks": {"sum": 2}}).startswith(message)
    queries = read_yaml("params.yaml")["queries"] | {"tasks": ["other"]}
    assert "no query is of a task `sums`" in refused(queries=queries, mix=weights)
