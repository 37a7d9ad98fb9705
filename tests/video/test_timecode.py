"""Times and frame numbers as people write them."""

import pytest

from colorcli.errors import UsageError
from colorcli.video.timecode import Timecode, parse_timecode


@pytest.mark.parametrize(
    ("text", "timecode"),
    [
        ("12.5", Timecode(seconds=12.5)),
        ("12.5s", Timecode(seconds=12.5)),
        ("00:01:02.5", Timecode(seconds=62.5)),
        ("01:02", Timecode(seconds=62)),
        ("00:01:02:12", Timecode(frame=62 * 25 + 12)),
        ("300f", Timecode(frame=300)),
    ],
)
def test_every_form_of_timecode(text: str, timecode: Timecode) -> None:
    assert parse_timecode(text, 25) == timecode


@pytest.mark.parametrize("text", ["", "x", "1:2:3:4:5", "-3"])
def test_what_is_no_timecode(text: str) -> None:
    with pytest.raises(UsageError):
        parse_timecode(text, 25)
