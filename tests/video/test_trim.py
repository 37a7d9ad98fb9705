"""--start and --end."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from colorcli.video.trim import Trim

RATE = Fraction(25)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, 150),
        ("2", None, 100),
        (None, "40f", 40),
        ("1", "0:03", 50),
        ("1", "60", 125),
        ("9", None, 0),
    ],
)
def test_the_frames_that_are_left_are_counted(start: str | None, end: str | None, expected: int) -> None:
    """Progress is counted against them."""
    info: Any = SimpleNamespace(frames=150, rate=RATE)
    assert Trim.parse(start, end, RATE).frames(info) == expected
    assert Trim.parse(start, end, RATE).frames(SimpleNamespace(frames=None, rate=RATE)) is None  # type: ignore[arg-type]
