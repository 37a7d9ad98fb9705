"""One picture shown as many, and each of them still a photograph."""

import numpy as np
import pytest

from colorcli.train.augment import exposed, joined, random_view, turned


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_views_differ_follow_the_seed_and_stay_in_range() -> None:
    picture = rng().integers(0, 256, (80, 100, 3), np.uint8)
    views = [random_view(picture, 32, rng(seed)) for seed in range(40)]
    for seed, view in enumerate(views):
        assert view.shape == (3, 32, 32)
        assert view.dtype == np.float32
        assert 0 <= view.min() <= view.max() <= 1
        assert np.array_equal(view, random_view(picture, 32, rng(seed)))
    assert len({view.tobytes() for view in views}) == len(views)


@pytest.mark.parametrize("degrees", [-15, 7, 15])
@pytest.mark.parametrize("shape", [(80, 100, 3), (100, 60, 3)])
def test_turning_leaves_no_corner_empty(shape: tuple[int, int, int], degrees: float) -> None:
    picture = np.full(shape, (200, 120, 40), np.uint8)
    picture[shape[0] // 2 :, : shape[1] // 2] = (10, 90, 160)
    result = turned(picture, degrees)
    assert result.shape == shape
    assert not np.array_equal(result, picture)
    assert result.reshape(-1, 3).min(0).tolist() == [10, 90, 40]


def test_exposure_changes_tones_and_leaves_grey_grey() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (3, 64, 64))
    for seed in range(20):
        result = exposed(ramp, rng(seed))
        assert np.abs(result - ramp).max() > 0.01
        assert np.array_equal(result[0], result[1])
        assert (np.diff(result[0, 0]) >= 0).all()


def test_a_joined_crop_shows_part_of_both() -> None:
    one, other = np.zeros((3, 40, 40), np.float32), np.ones((3, 40, 40), np.float32)
    sides = set()
    for seed in range(20):
        result = joined(one, other, rng(seed))
        assert 0.25 < result.mean() < 0.75
        assert (result[:, 0, 0], result[:, -1, -1]) == (pytest.approx(0), pytest.approx(1))
        sides.add(tuple(np.ptp(result[0], axis=axis).max() for axis in (0, 1)))
    assert sides == {(0, 1), (1, 0)}
