"""`--compare`: gray and color side by side in one picture."""

from pathlib import Path

import cv2
import numpy as np

from colorcli.color.pictures import read_picture
from colorcli.errors import InputError
from colorcli.files import atomic_write
from colorcli.options import comparison_path

LONG_SIDE = 1600
"""Pixels of each half's long side at most."""
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 92]


def write_comparison(source: Path, output: Path) -> None:
    """Write `NAME.EXT.compare.jpg` beside `output`; nothing if one of the two cannot be shown."""
    try:
        before, after = (read_picture(path, long_side=LONG_SIDE) for path in (source, output))
    except InputError:
        return
    if before.shape != after.shape:
        before = cv2.resize(before, after.shape[1::-1], interpolation=cv2.INTER_AREA)
    both = cv2.cvtColor(np.hstack([before, after]), cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", both, QUALITY)
    with atomic_write(comparison_path(output)) as partial:
        partial.write_bytes(encoded.tobytes())
