"""Colours that colour-blind people can tell apart."""

import itertools

import numpy as np
import pytest

from dataselect.figures.theme import PALETTE, SHAPES, series

#: Linear RGB as it is seen with no red, or no green, cones.
#: Source: Viénot, Brettel and Mollon, "Digital video colourmaps", 1999: their matrices to the
#: responses of cones and back, with one response replaced so that white and blue stay.
TO_CONES = np.array([
    [17.8824, 43.5161, 4.11935],
    [3.45565, 27.1554, 3.86714],
    [0.0299566, 0.184309, 1.46709],
])  # fmt: skip
BLIND = {
    "protanopia": np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
    "deuteranopia": np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
}
#: Linear RGB → XYZ, of sRGB; and the white of D65.
TO_XYZ = np.array([
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
])  # fmt: skip
WHITE = TO_XYZ.sum(axis=1)


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIELAB of linear RGB: distances of 2.3 are just seen, those of 10 at a glance."""
    t = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def seen(colour, kind):
    if kind == "all cones":
        return lab(linear(colour))
    return lab(np.linalg.inv(TO_CONES) @ BLIND[kind] @ TO_CONES @ linear(colour))


@pytest.mark.parametrize("kind", ["all cones", *BLIND])
def test_neighbours_in_the_palette_and_all_others_look_different(kind):
    colours = [seen(colour, kind) for colour in PALETTE]
    for first, second in itertools.pairwise(colours):
        assert np.linalg.norm(first - second) > 50
    for first, second in itertools.combinations(colours, 2):
        assert np.linalg.norm(first - second) > 15


def test_the_simulation_confuses_what_colour_blind_people_confuse():
    assert np.linalg.norm(seen("#CC0000", "all cones") - seen("#5C5C00", "all cones")) > 50
    gaps = [np.linalg.norm(seen("#D04030", kind) - seen("#707030", kind)) for kind in BLIND]
    assert min(gaps) < 20


def test_56_series_have_each_a_colour_and_a_shape_of_their_own():
    names = [str(number) for number in range(len(PALETTE) * len(SHAPES))]
    assert len(set(zip(*series(names), strict=True))) == len(names) == 56
