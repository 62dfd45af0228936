"""Draws by id: uniform, the same in any order, and independent of every other draw."""

import ast

import numpy as np
import polars as pl

from dataselect.numerics.draws import derived_seed, random_scores, shuffled_rows
from tests.helpers import ROOT

IDS = [f"row {number}" for number in range(10_000)]

#: The place of the draw's name among a call's arguments.
NAME_AT = {"random_scores": 2, "shuffled_rows": 2, "derived_seed": 1, "sample_rows": 3}


def names_of_draws():
    """The name of every draw in the source, as it stands there, and where."""
    found = []
    for path in sorted((ROOT / "src/dataselect").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            function = getattr(node, "func", None)
            called = getattr(function, "id", getattr(function, "attr", None))
            if called not in NAME_AT:
                continue
            given = [k.value for k in node.keywords if k.arg == "name"]
            name = given[0] if given else node.args[NAME_AT[called]]
            found.append((name, f"{path.name}:{node.lineno}"))
    return found


def test_every_draw_of_the_project_has_a_name_of_its_own():
    named: dict[str, str] = {}
    for name, place in names_of_draws():
        if isinstance(name, ast.Name):  # only sample_rows passes on the name that it is given
            assert (name.id, place.split(":")[0]) == ("name", "rows.py"), place
            continue
        if isinstance(name, ast.JoinedStr):  # a name of its own for each text, after one line
            name = ast.Constant(name.values[0].value.removesuffix("\n"))
        assert isinstance(name, ast.Constant), place
        assert isinstance(name.value, str), place
        assert "\n" not in name.value  # the hash's separator
        assert name.value not in named, (place, named.get(name.value))
        named[name.value] = place
    assert len(named) >= 13


def test_draws_of_other_names_are_independent():
    scores = [random_scores(IDS, 0, name) for name in ("one", "two")]
    assert abs(np.corrcoef(*scores)[0, 1]) < 4 / np.sqrt(len(IDS))
    best = set(np.argsort(-scores[0])[:500].tolist())
    sample = set(shuffled_rows(IDS, 0, "two")[:500].tolist())
    # The expected overlap of two independent samples of 500 of 10,000 is 25, give or take 5.
    assert 5 <= len(best & sample) <= 45
    assert 5 <= len(best & set(shuffled_rows(IDS, 1, "one")[:500].tolist())) <= 45


def test_a_draw_depends_on_the_id_and_not_on_its_place():
    scores = random_scores(IDS, 3, "x")
    np.testing.assert_array_equal(random_scores(IDS[::-1], 3, "x"), scores[::-1])
    order = shuffled_rows(IDS, 3, "x")
    assert sorted(order.tolist()) == list(range(len(IDS)))
    assert order.tolist() == shuffled_rows(pl.Series(IDS), 3, "x").tolist()
    assert [IDS[row] for row in order] == [
        IDS[::-1][row] for row in shuffled_rows(IDS[::-1], 3, "x")
    ]


def test_derived_seeds_are_those_that_torch_and_numpy_take():
    seeds = [derived_seed(seed, name) for seed in range(50) for name in ("a", "b")]
    assert len(set(seeds)) == 100
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert max(seeds) > 2**31
    assert derived_seed(7, "a") == derived_seed(7, "a")
    np.random.default_rng(derived_seed(-1, "a"))
