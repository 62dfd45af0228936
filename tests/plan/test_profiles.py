"""Every profile is a whole params.yaml that the plan would take, were its data there."""

import pytest

from dataselect.plan.params import read_yaml
from dataselect.plan.run import plan
from tests.helpers import ROOT


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_profile_is_a_plan(path, in_scratch):
    params = read_yaml(path)
    for name in ("pool", "queries", "tests"):
        if name not in params:  # a method that looks at no queries
            continue
        file = in_scratch / f"{name}.jsonl"
        file.touch()
        params[name]["path"] = str(file)
    sections = plan(params, read_yaml(ROOT / "methods.yaml"))
    recipe = sections.train.recipe
    if params["method"] == "s2l":  # three epochs of the whole pool, some 15.7 of 50,000 rows
        assert recipe.steps == 3 * -(-262_039 // 128)
        assert round(recipe.passes(50_000), 1) == 15.7
    else:
        assert recipe.epochs == 2
    assert sections.aggregate.budget == params["budget"]
    assert sections.embed.model.md5 is None  # from the hub, known by name and revision
