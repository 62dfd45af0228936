"""Settings that another one of their block makes idle are refused, wherever a schema marks them."""

from typing import Annotated

import pytest

from dataselect.plan.method import PARTS
from dataselect.settings import (
    OnlyWith,
    PositiveInt,
    annotation_of,
    check_settings,
    part_function,
    part_names,
    settings_of,
)
from dataselect.train.fit import Recipe
from tests.helpers import mistake


def schema(
    *,
    kind: str = "plain",
    seed: int = 0,
    depth: Annotated[PositiveInt, OnlyWith("kind", "deep", "deeper")] = 3,
    width: Annotated[int | None, OnlyWith("kind", "wide")] = None,
) -> None:
    """A function whose signature is checked."""


def test_a_setting_that_another_makes_idle_is_refused_even_at_its_default():
    assert mistake(check_settings, schema, {"depth": 3, "width": 1}, "x.yaml: block") == (
        "x.yaml: block.depth: has an effect only with `kind: deep` or `kind: deeper`; found "
        "`kind: plain`. Remove it, or set `kind: deep` or `kind: deeper`.\n"
        "x.yaml: block.width: has an effect only with `kind: wide`; found `kind: plain`. Remove "
        "it, or set `kind: wide`."
    )
    assert mistake(check_settings, schema, {"depth": 1}, "x.yaml").startswith("x.yaml: depth: has")


def test_a_setting_that_works_and_one_that_is_not_given_are_taken():
    assert check_settings(schema, {"kind": "deeper", "depth": 5}, "x")["depth"] == 5
    assert check_settings(schema, {}, "x")["depth"] == 3
    assert "expected greater than" in mistake(check_settings, schema, {"depth": 0}, "x")


def test_what_is_offered_from_elsewhere_is_never_refused_as_idle():
    checked = check_settings(schema, {"seed": 1}, "x", {"seed": 2, "depth": 9, "other": 5})
    assert checked == {"kind": "plain", "seed": 1, "depth": 9, "width": None}


SCHEMAS = [Recipe] + [
    part_function(folder, name, "here") for folder in PARTS.values() for name in part_names(folder)
]


@pytest.mark.parametrize("found", SCHEMAS, ids=lambda found: found.__name__)
def test_a_mark_names_a_setting_beside_it_and_values_that_it_takes(found):
    for name in settings_of(found):
        for mark in getattr(annotation_of(found, name), "__metadata__", ()):
            if isinstance(mark, OnlyWith):
                for value in mark.values:
                    assert check_settings(found, {mark.setting: value}, "x")[mark.setting] == value
