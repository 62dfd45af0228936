"""Mistakes in methods.yaml, and which model measures the rows."""

import pytest
import yaml

from dataselect.settings import part_names
from tests.helpers import GOLDEN, ROOT, change, mistake, planned

SCORERS = ", ".join(part_names("score"))
PARTS = {"features": "none", "scorer": "random", "aggregator": "top"}
LEARNS = {
    "reference": {"proxy": {"checkpoints": 3}},
    "features": "trajectories",
    "scorer": {"change": {"of": "nll"}},
    "aggregator": "top",
}
METHODS = {
    "no scorer": (
        {"features": "none", "aggregator": "top"},
        "methods.yaml: mine.scorer: missing. Add it; see docs/settings.md.",
    ),
    "a method that is nothing": (
        5,
        "methods.yaml: mine: expected settings by name, like `name: value`; found 5. See "
        "docs/settings.md for what there is.",
    ),
    "a fourth word": (
        {**PARTS, "scores": "x"},
        "methods.yaml: mine: unknown setting `scores`. Did you mean `scorer`? There are: features, "
        "scorer, aggregator, reference, model, checkpoints.",
    ),
    "an unknown scorer": (
        {**PARTS, "scorer": "cosin"},
        "methods.yaml: mine: scorer: no scorer is called `cosin`. Did you mean `cosine`? There "
        f"are: {SCORERS}.",
    ),
    "a scorer that is none": (
        {**PARTS, "scorer": "none"},
        "methods.yaml: mine: scorer: no scorer is called `none`. ",
    ),
    "no scorer at all": (
        {**PARTS, "scorer": None},
        "methods.yaml: mine.scorer: expected a valid dictionary or a valid string; found None. "
        "Fix it there.",
    ),
    "an unknown feature": (
        {**PARTS, "features": {"hidden_state": {}}},
        "methods.yaml: mine: features: no feature is called `hidden_state`. Did you mean "
        "`hidden_states`? There are: ",
    ),
    "an unknown setting": (
        {**PARTS, "features": {"hidden_states": {"poling": "mean"}}},
        "methods.yaml: mine: features: hidden_states: unknown setting `poling`. Did you mean "
        "`pooling`? There are: pooling, over",
    ),
    "a wrong setting": (
        {**PARTS, "scorer": {"random": {"per": "task"}}},
        "methods.yaml: mine: scorer: random.per: expected 'pool' or 'source'; found 'task'. Fix "
        "it there.",
    ),
    "a setting where there is none": (
        {**PARTS, "aggregator": {"top": {"k": 5}}},
        "methods.yaml: mine: aggregator: top: unknown setting `k`. It has none: leave it out.",
    ),
    "where to start, of a perplexity that does not": (
        {**PARTS, "features": "losses", "scorer": {"perplexity": {"start": 0.5}}},
        "methods.yaml: mine: scorer: perplexity.start: has an effect only with `best: from_rank`; "
        "found `best: highest`. Remove it, or set `best: from_rank`.",
    ),
    "the length of gradients that are not projected": (
        {
            "reference": "warmup",
            "features": {"gradients": {"projection": "none", "dims": 64}},
            "scorer": "influence",
            "aggregator": "top",
        },
        "methods.yaml: mine: features: gradients.dims: has an effect only with `projection: "
        "rademacher` or `projection: srht`; found `projection: none`. Remove it",
    ),
    "a model that measures nothing": (
        {**PARTS, "model": {"max_tokens": 64}},
        "methods.yaml: mine: a model, but no features that it measures. Leave it out.",
    ),
    "two scorers": (
        {**PARTS, "scorer": {"random": {}, "cosine": {}}},
        "methods.yaml: mine: scorer: expected one name with its settings, found {'random': {}, "
        "'cosine': {}}. Name one.",
    ),
    "settings without names": (
        {**PARTS, "scorer": {"random": 5}},
        "methods.yaml: mine: scorer: random: expected settings by name, like `name: value`; found "
        "5. See docs/settings.md for what there is.",
    ),
    "nothing to compare": (
        {**PARTS, "scorer": "cosine"},
        "methods.yaml: mine: the scorer `cosine` reads `vectors`, which its features do not "
        "give. There are no features. Name others under `features`.",
    ),
    "no reference to look with": (
        {**PARTS, "features": "trajectories", "scorer": {"change": {"of": "nll"}}},
        "methods.yaml: mine: the features `trajectories` need a reference that produces "
        "models; the method has none. Name another under `reference`.",
    ),
    "another reference": (
        {**PARTS, "reference": "proxy", "features": "gradients", "scorer": "influence"},
        "methods.yaml: mine: the features `gradients` need a reference that produces "
        "adapters; `proxy` produces models. Name another under `reference`.",
    ),
    "adapters where a model is looked with": (
        {**PARTS, "reference": "warmup", "features": "losses", "scorer": "perplexity"},
        "methods.yaml: mine: the features `losses` need a reference that produces models; "
        "`warmup` produces adapters. Name another under `reference`.",
    ),
    "a mean over tasks where there are none": (
        {**PARTS, "aggregator": "mean_over_tasks"},
        "methods.yaml: mine: the aggregator `mean_over_tasks` needs groups that belong to tasks; "
        "the scorer `random` compares rows with no queries. Name another of the two.",
    ),
    "checkpoints of nothing": (
        {**PARTS, "features": "losses", "scorer": "perplexity", "checkpoints": [1]},
        "methods.yaml: mine: checkpoints, but no reference that leaves any. Remove it.",
    ),
    "checkpoints beyond the last": (
        {**LEARNS, "checkpoints": [1, 4]},
        "methods.yaml: mine: checkpoints: expected numbers up to 3, the reference's checkpoints; "
        "found 4. Lower it, or raise the reference's `checkpoints` or `epochs`.",
    ),
    "checkpoints in no order": (
        {**LEARNS, "checkpoints": [2, 1]},
        "methods.yaml: mine: checkpoints: expected rising numbers of checkpoints, like [1, 4]; "
        "found [2, 1]. Fix it there.",
    ),
    "no checkpoints": (
        {**LEARNS, "checkpoints": []},
        "methods.yaml: mine: checkpoints: expected rising numbers of checkpoints, like [1, 4]; "
        "found []. Fix it there.",
    ),
    "checkpoints by a word": (
        {**LEARNS, "checkpoints": "last"},
        "methods.yaml: mine.checkpoints: expected 'all' or a valid integer or a valid list; found "
        "'last'. Fix it there.",
    ),
    "a change from the last checkpoint on": (
        {**LEARNS, "scorer": {"change": {"of": "nll", "early": 3}}},
        "methods.yaml: mine: scorer: expected 4 checkpoints at least; found 3. Lower its `early` "
        "or `late`, or set more `checkpoints`.",
    ),
    "a change to a checkpoint that is not measured": (
        {**LEARNS, "checkpoints": 2, "scorer": {"change": {"of": "nll", "late": 3}}},
        "methods.yaml: mine: scorer: expected 3 checkpoints at least; found 2. ",
    ),
    "a change backwards": (
        {**LEARNS, "scorer": {"change": {"of": "nll", "early": 2, "late": 2}}},
        "the scorer `change`: late: expected a checkpoint after `early` (2); found 2. Set another.",
    ),
    "a reference without features": (
        {**PARTS, "reference": "proxy"},
        "methods.yaml: mine: a reference, but no features that use it. Leave it out.",
    ),
    "a model of its own that is not there": (
        {**PARTS, "model": {"name": "./gone"}, "features": "lengths"},
        "methods.yaml: mine: model.name: `./gone`: no such folder (looked from ",
    ),
    "a model of its own with a slip": (
        {**PARTS, "model": {"max_token": 5}, "features": "lengths"},
        "methods.yaml: mine: model: unknown setting `max_token`. Did you mean `max_tokens`?",
    ),
    "a feature that is not measured": (
        {**PARTS, "features": "losses", "scorer": {"measure": {"name": "probabilty"}}},
        "methods.yaml: mine: the scorer `measure` reads `probabilty`, which its features do not "
        "give. Did you mean `probability`? There are: whole_nll, response_nll, prompt_nll, "
        "probability, cut. Name others under `features`.",
    ),
}


def test_a_method_that_needs_queries_with_none_given(home):
    change({"queries": None, "method": "random"})
    assert planned().dedup.queries == []  # it uses none
    change({"method": "rds"})
    assert mistake(planned) == (
        "params.yaml: queries: the method `rds` scores rows against queries, and none are given. "
        "Add `queries: {path: …}`, or choose a method that uses none."
    )


def test_the_selector_model(home):
    """model, else selector_model, else the method's own; each says only what it changes."""
    tiny, other = str(GOLDEN / "tiny-llama"), str(ROOT / "demo/base_model")
    change({"model": {"name": tiny, "max_tokens": 300, "dtype": "float32"}, "method": "rds"})

    def selector():
        sections = planned()
        assert sections.train.model.name == tiny
        assert sections.dedup.model.name == tiny
        return {k: getattr(sections.embed.model, k) for k in ("name", "max_tokens", "dtype")}

    assert selector() == {"name": tiny, "max_tokens": 300, "dtype": "float32"}
    change({"selector_model": {"name": other}})
    assert selector() == {"name": other, "max_tokens": 300, "dtype": "float32"}
    change({"method": "s2l"})  # whose 512 tokens lift no lower limit
    assert selector() == {"name": other, "max_tokens": 300, "dtype": "float32"}
    change({"selector_model": {"name": other, "max_tokens": 1000}})
    assert selector() == {"name": other, "max_tokens": 512, "dtype": "float32"}
    change({"selector_model": {"max_tokens": 0}})
    assert mistake(planned).startswith("params.yaml: selector_model.max_tokens: expected greater")


def test_without_a_selector_model_the_proxy_is_the_model_itself(home):
    change({"method": "s2l"})
    sections = planned()
    assert sections.reference.model.name == sections.train.model.name
    assert sections.embed.model == sections.reference.model


def test_checkpoints_decide_the_features_and_not_the_reference(home):
    change({"method": "mine"})
    plans = []
    for chosen in ("all", 2, [1, 3]):
        change({"mine": {**LEARNS, "checkpoints": chosen}}, "methods.yaml")
        plans.append(planned())
    assert [sections.embed.checkpoints for sections in plans] == ["all", 2, [1, 3]]
    assert [sections.cost.passes for sections in plans] == [4, 3, 3]
    assert plans[0].reference == plans[1].reference == plans[2].reference
    early = {**PARTS, "reference": "proxy", "features": "losses", "scorer": "perplexity"}
    change({"mine": {**early, "checkpoints": 1}}, "methods.yaml")
    assert planned().cost.passes == 1


def test_the_methods_of_the_docs_are_plans(home):
    page = (ROOT / "docs/methods.md").read_text()
    methods = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    change(methods, "methods.yaml")
    for name, chosen in {"s2l_early": 4, "least_confidence_early": 1}.items():
        change({"method": name})
        assert planned().embed.checkpoints == chosen


def test_another_model_takes_no_revision_or_remote_code_over(home):
    first = {"name": "a/b", "revision": "123", "trust_remote_code": True, "chat": "model"}
    change({"model": first, "selector_model": {"name": "c/d"}, "method": "rds"})
    selector = planned().embed.model
    assert selector.revision is None
    assert selector.trust_remote_code is False
    assert selector.chat == "tulu"


def test_a_method_without_features_names_no_selector_model(home):
    change({"method": "random", "selector_model": {"name": str(ROOT / "demo/base_model")}})
    assert planned().embed.features is None
    assert planned().embed.model is None
    change({"selector_model": {"nam": "x"}})
    assert mistake(planned).startswith("params.yaml: selector_model: unknown setting `nam`.")


@pytest.mark.parametrize("name", METHODS)
def test_mistakes_in_methods(home, name):
    method, message = METHODS[name]
    change({"mine": method}, "methods.yaml")
    change({"method": "mine"})
    assert mistake(planned).startswith(message)
