"""`--compare`: the output shows gray beside color."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps
from support.scenes import Colorize, scene

from colorcli.options import RunOptions


@pytest.mark.parametrize(
    ("suffix", "orientation"), [("png", each) for each in range(1, 9)] + [("jpg", 6), ("tif", 3)]
)
def test_gray_is_on_the_left_and_color_on_the_right(
    suffix: str, orientation: int, tmp_path: Path, colorize: Colorize
) -> None:
    """As the picture is displayed, whatever its orientation."""
    source, one, both = (tmp_path / f"{name}.{suffix}" for name in ("in", "one", "both"))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(scene()).save(source, exif=exif)
    colorize(source, one)
    colorize(source, both, options=RunOptions(compare=True))
    color, shown = (
        np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"), int) for path in (one, both)
    )
    height, width, _ = color.shape
    assert shown.shape == (height, 2 * width, 3)
    assert np.ptp(shown[:, :width], axis=2).mean() < 1
    assert np.abs(shown[:, width:] - color).mean() < 3
