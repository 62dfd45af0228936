"""The params.yaml of a new project."""

import dataclasses

import pytest

from dataselect.eval.run import EvalSettings
from dataselect.plan.params import check_params, read_yaml
from dataselect.project import templates
from dataselect.project.params_file import MODEL, SHOWN, open_points, params_yaml
from dataselect.train.fit import Recipe
from tests.helpers import GOLDEN, ROOT, mistake
from tests.project.conftest import NOTHING, given


@pytest.fixture
def written(user):
    """Writes params.yaml for these inputs, and reads it as the plan does."""

    def write(inputs):
        template = templates.contents()["params.yaml"]
        text = params_yaml(template, read_yaml(ROOT / "methods.yaml"), inputs, user)
        (user / "params.yaml").write_bytes(text)
        return text.decode(), read_yaml(user / "params.yaml")

    return write


def test_the_users_files_model_and_choice_stand_in_it(written):
    text, params = written(given(method="random", budget="5%", tests=["tests.jsonl", "*.csv"]))
    assert params["pool"]["path"] == "pool.jsonl"
    assert params["tests"]["path"] == ["tests.jsonl", "*.csv"]
    assert params["model"]["name"] == str(GOLDEN / "tiny-llama")
    assert (params["method"], params["budget"]) == ("random", "5%")
    assert check_params(params).train == Recipe()
    assert "# a file, a glob or a list" in text
    assert "null" in text
    assert "demo" not in text
    assert "docs/" not in text


def test_what_is_not_given_is_named_and_stands_as_a_comment(written):
    text, params = written(NOTHING)
    assert "queries" not in params
    assert "# queries: {path: queries.jsonl}" in text
    assert "# tests: {path: tests.jsonl}" in text
    assert params["model"]["name"] == MODEL
    check_params(params)
    assert [point.partition(":")[0] for point in open_points(NOTHING)] == [
        *("pool.path", "queries.path", "tests.path", "model.name"),
    ]
    assert open_points(given()) == []


def test_the_settings_that_are_shown_are_the_defaults(written):
    _, params = written(given())
    for block, schema in (("train", Recipe), ("eval", EvalSettings)):
        defaults = dataclasses.asdict(schema())
        assert params[block] == {name: defaults[name] for name in SHOWN[block]}


def test_a_wrong_method_budget_or_model_is_refused(written):
    assert "Did you mean `rds`" in mistake(written, given(method="rsd"))
    wrong = mistake(written, given(budget="5x"))
    assert wrong.startswith("--budget: expected")
    assert wrong.endswith("like \"5%\"; found '5x'. Give another.")
    assert mistake(written, given(model="./model")).startswith("--model: `./model`: no such folder")
