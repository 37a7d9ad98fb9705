"""Hints are met, propagate over their region, and stop at its edge."""

import numpy as np
import pytest

from colorcli.color.condition import Hints
from colorcli.color.propagation import apply_hints, influence
from colorcli.color.ycbcr import Plane

EDGE, POINT = 60, (40, 30)
HINT = np.array([-0.1, 0.2], np.float32)
GRAY = np.zeros((2, 80, 120), np.float32)


def two_regions(step: float, noise: float = 0.0) -> Plane:
    """Luma [80, 120], darker left of column 60 than right of it."""
    luma = np.full((80, 120), 0.4, np.float32)
    luma[:, EDGE:] += step
    return luma + noise * np.random.default_rng(1).standard_normal(luma.shape, dtype=np.float32)


def hint_at(*points: tuple[int, int], shape: tuple[int, int] = (80, 120)) -> Hints:
    hints = Hints(np.zeros((2, *shape), np.float32), np.zeros(shape, np.float32))
    for row, column in points:
        patch = np.s_[row - 2 : row + 3, column - 2 : column + 3]
        hints.chroma[:, *patch] = HINT[:, None, None]
        hints.mask[patch] = 1
    return hints


def strength(chroma: Plane) -> Plane:
    """How far chroma has come from gray to the hint, [h, w]."""
    return np.tensordot(HINT, chroma, axes=1) / (HINT @ HINT)


def test_the_hinted_pixel_takes_the_color() -> None:
    network = np.full((2, 80, 120), 0.05, np.float32)
    result = apply_hints(network, network, hint_at(POINT), two_regions(0.3))
    assert result[:, *POINT] == pytest.approx(HINT, abs=0.004)  # one code value


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_color_fills_its_region_and_stops_at_the_edge(noise: float) -> None:
    result = strength(apply_hints(GRAY, GRAY, hint_at(POINT), two_regions(0.3, noise)))
    assert result[:, : EDGE - 3].mean() > 0.4
    assert result[:, EDGE + 3 :].mean() < 0.02


def test_without_an_edge_it_fades_with_distance() -> None:
    result = strength(apply_hints(GRAY, GRAY, hint_at(POINT), two_regions(0)))
    along = result[POINT[0], POINT[1] :: 10]
    assert (np.diff(along) < 0).all()
    assert along[-1] > 0.1


def test_the_networks_shades_stay() -> None:
    """The change propagates, not the color: differences within the region stay."""
    network = np.zeros((2, 80, 120), np.float32)
    network[0, 20] = 0.08  # a line of its own, far from the hint
    result = apply_hints(network, network, hint_at((60, 30)), two_regions(0))
    assert result[0, 20] - (result[0, 19] + result[0, 21]) / 2 == pytest.approx(0.08, abs=0.002)


def test_a_hint_propagates_even_if_the_network_uses_it_only_at_its_pixels() -> None:
    hints = hint_at(POINT)
    result = strength(apply_hints(hints.chroma, GRAY, hints, two_regions(0.3)))
    assert result[POINT] == pytest.approx(1, abs=0.03)
    assert result[:, : EDGE - 3].mean() > 0.4
    assert result[:, EDGE + 3 :].mean() < 0.02


def test_beyond_the_edge_the_networks_own_answer_stands() -> None:
    answer = np.full_like(GRAY, 0.1)
    result = apply_hints(answer, GRAY, hint_at(POINT), two_regions(0.3))
    assert np.abs(result - answer)[:, :, EDGE + 5 :].max() < 0.01


def test_without_hints_nothing_changes() -> None:
    network = np.random.default_rng(3).uniform(-0.2, 0.2, (2, 80, 120)).astype(np.float32)
    assert np.array_equal(apply_hints(network, network, hint_at(), two_regions(0.3)), network)


def test_influence_is_one_at_the_hint_and_none_across_the_edge() -> None:
    reach = influence(hint_at(POINT).mask, two_regions(0.3))
    assert reach[POINT] == pytest.approx(1, abs=0.02)
    assert reach.min() > -1e-3
    assert reach[:, EDGE + 3 :].max() < 0.05
