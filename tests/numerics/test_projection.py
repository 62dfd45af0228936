"""Random projections: angles are kept, numbers do not depend on the batch."""

import numpy as np
import pytest
import torch

from dataselect.numerics import projection


@pytest.mark.parametrize("project", [projection.rademacher, projection.srht])
def test_a_projection_keeps_angles_and_does_not_depend_on_the_batch(project):
    draws = torch.Generator().manual_seed(0)
    vectors = torch.randn(6, 5000, generator=draws)
    vectors[3:] = vectors[:3] + 0.5 * vectors[3:]
    unit = torch.nn.functional.normalize
    short = project(vectors, 2048, 3)
    assert short.shape == (6, 2048)
    exact = unit(vectors, dim=1) @ unit(vectors, dim=1).T
    ours = unit(short, dim=1) @ unit(short, dim=1).T
    assert (ours - exact).abs().max() < 4 / np.sqrt(2048)
    alone = torch.cat([project(vector[None], 2048, 3) for vector in vectors])
    torch.testing.assert_close(short, alone, rtol=1e-4, atol=1e-3)
    assert not torch.allclose(short, project(vectors, 2048, 4), atol=1.0)


def test_a_hadamard_transform_by_hand():
    # H of 4 is the product of two H of 2: (1 1; 1 −1) within pairs, then between them.
    transformed = projection._hadamard(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert transformed.tolist() == [[10.0, -2.0, -4.0, 0.0]]
    x = torch.randn(2, 1024, generator=torch.Generator().manual_seed(0))
    twice = projection._hadamard(projection._hadamard(x)) / 1024
    torch.testing.assert_close(twice, x, rtol=1e-3, atol=1e-4)


def test_signs_are_fair_and_of_one_kind():
    signs = projection._signs(1_000_001, [5, 7])
    assert set(np.unique(signs)) == {0, 1}
    assert len(signs) == 1_000_001
    assert abs(signs.mean() - 0.5) < 0.002


@pytest.mark.parametrize(
    ("kind", "dims", "width"), [("none", 8, 5000), ("rademacher", 9000, 9000), ("srht", 9000, 8192)]
)
def test_width_is_that_of_a_projected_vector(kind, dims, width):
    assert projection.width(kind, 5000, dims) == width
    if kind != "none":
        project = getattr(projection, kind)
        assert project(torch.zeros(1, 5000), dims, 0).shape == (1, width)


def test_flops_by_hand():
    assert projection.flops("none", 5000, 64) == 0
    assert projection.flops("rademacher", 5000, 64) == 2 * 5000 * 64
    assert projection.flops("srht", 5000, 64) == 2 * 8192 * 13
