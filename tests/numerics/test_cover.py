"""Exact facility location: the order of plain greedy, whatever is held, and in which blocks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dataselect.numerics import cover
from dataselect.numerics.cover import TIE, greedy
from tests.helpers import GOLDEN

#: When pairs are held, and the most that are: of 300 vectors.
HELD = {"never": 1, "later": 5_000, "from the start": 2**24}


@pytest.fixture(params=HELD)
def held(request, monkeypatch):
    monkeypatch.setattr(cover, "PAIRS", HELD[request.param])
    monkeypatch.setattr(cover, "SHARE", 1)
    return request.param


def unit_vectors(seed, n=300, d=8):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((10, d))
    vectors = centres[rng.integers(10, size=n)] + rng.standard_normal((n, d))
    return scaled(vectors)


def scaled(vectors):
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plain_greedy(unit, n):
    """The definition, with all gains computed in every round, in float64; of equals, the first."""
    cosines = np.maximum(unit.astype(np.float64) @ unit.T.astype(np.float64), 0)
    covered, chosen, gains = np.zeros(len(unit)), [], []
    for _ in range(n):
        added = np.maximum(cosines - covered[:, None], 0).sum(axis=0)
        added[chosen] = -np.inf
        chosen.append(int(np.flatnonzero(added >= added.max() - TIE)[0]))
        gains.append(added[chosen[-1]])
        covered = np.maximum(covered, cosines[:, chosen[-1]])
    return chosen, gains


def check_against_plain(unit, n):
    chosen, gains = greedy(unit, n)
    expected, expected_gains = plain_greedy(unit, n)
    assert chosen.tolist() == expected
    np.testing.assert_allclose(gains, expected_gains, rtol=1e-4, atol=2 * TIE)


@pytest.mark.parametrize("block", [7, 512])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_plain_greedy(held, block, seed, monkeypatch):
    monkeypatch.setattr(cover, "BLOCK", block)
    check_against_plain(unit_vectors(seed), 150)


def test_pairs_are_held_as_soon_as_they_are_few(held, monkeypatch):
    pairs, calls = cover._pairs, []
    monkeypatch.setattr(cover, "_pairs", lambda *all_: calls.append(pairs(*all_)) or calls[-1])
    greedy(unit_vectors(0), 150)
    looks = [call is not None for call in calls]
    if held == "never":
        assert not any(looks)
    else:  # they are looked for until they are found
        assert looks[-1]
        assert not any(looks[:-1])
    assert (len(looks) == 1) == (held == "from the start")


@pytest.mark.parametrize("pooled", ["weighted_mean", "mean", "last_token"])
def test_it_is_plain_greedy_on_hidden_states_of_a_model(held, pooled):
    with np.load(GOLDEN / "rds.npz") as arrays:
        vectors = arrays[f"embedding/{pooled}"]
    vectors = vectors[np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)]
    assert len(vectors) > 150
    check_against_plain(scaled(vectors), 100)


def test_of_two_that_represent_only_each_other_the_lower_number_is_first(held, monkeypatch):
    """Pairs k = 0 to 29, each in a plane of its own, 10 + 2k degrees apart.

    Either of a pair adds 1 + cos, so the first of each comes first, nearest pair first; the others
    add 1 − cos, so they come after, farthest pair first. A rotation leaves all to rounding.
    """
    if held == "later":
        monkeypatch.setattr(cover, "PAIRS", 150)
    angles = np.deg2rad(10 + 2 * np.arange(30))
    pairs = np.zeros((60, 60))
    pairs[0::2, 0::2] = np.eye(30)
    pairs[1::2, 0::2], pairs[1::2, 1::2] = np.diag(np.cos(angles)), np.diag(np.sin(angles))
    rotation, _ = np.linalg.qr(np.random.default_rng(11).standard_normal((60, 60)))
    chosen, gains = greedy((pairs @ rotation).astype(np.float32), 60)
    assert chosen.tolist() == [*range(0, 60, 2), *range(59, 0, -2)]
    np.testing.assert_allclose(gains[:30], 1 + np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(gains[:29:-1], 1 - np.cos(angles), atol=1e-6)


def test_equal_vectors_come_last_in_their_order_and_add_nothing(held):
    unit = unit_vectors(7)
    unit[[20, 33, 250]] = unit[5]
    chosen, gains = greedy(unit, 300)
    assert chosen[-3:].tolist() == [20, 33, 250]
    assert gains[-3:].tolist() == [0, 0, 0]
    assert sorted(chosen.tolist()) == list(range(300))
    assert (np.diff(gains) <= TIE).all()


def test_threads_change_no_bit(held, monkeypatch):
    monkeypatch.setattr(cover, "BLOCK", 32)
    unit = unit_vectors(1)
    chosen, gains = greedy(unit, 60)
    with ThreadPoolExecutor(4) as pool:
        others, other_gains = greedy(unit, 60, pool.map)
    np.testing.assert_array_equal(chosen, others)
    np.testing.assert_array_equal(gains, other_gains)


def test_a_sample_that_underrates_the_pairs_stops_at_twice_as_many(monkeypatch):
    monkeypatch.setattr(cover, "SAMPLE", 2)
    monkeypatch.setattr(cover, "SHARE", 1)
    monkeypatch.setattr(cover, "BLOCK", 16)
    unit = np.eye(302, 300, dtype=np.float32)  # the first and the last are sampled
    unit[1:-1] = unit_vectors(2, d=300) @ np.diag(np.r_[0, np.ones(299)])
    unit[-1] = -unit[0]
    covered, monitored = np.zeros(302, dtype=np.float32), []

    def each(function, items):
        for item in items:
            monitored.append(item)
            yield function(item)

    monkeypatch.setattr(cover, "PAIRS", 2_000)
    assert cover._pairs(unit, covered, each) is None
    assert 1 < len(monitored) < 302 // 16
    monkeypatch.setattr(cover, "PAIRS", 302**2)
    held = cover._pairs(unit, covered, map)
    assert held is not None
    cosines = unit @ unit.T
    for row in (0, 1, 150, 301):
        others = held.others[slice(*held.starts[row : row + 2])]
        assert others.tolist() == np.flatnonzero(cosines[row] > 0).tolist()
