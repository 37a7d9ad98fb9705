"""`--compare`: gray and color side by side in one picture."""

from pathlib import Path

import cv2
import numpy as np

from colorcli.files import atomic_write
from colorcli.images.preview import preview
from colorcli.options import comparison_path

SIDE = 1600
"""Pixels of each half's long side at most."""


def write_comparison(source: Path, output: Path) -> None:
    """Write `NAME.EXT.compare.jpg` beside `output`; nothing where one of the two cannot be shown."""
    before, after = preview(source, SIDE), preview(output, SIDE)
    if before is None or after is None:
        return
    if before.shape != after.shape:
        before = cv2.resize(before, after.shape[1::-1], interpolation=cv2.INTER_AREA)
    both = cv2.cvtColor(np.hstack([before, after]), cv2.COLOR_RGB2BGR)
    _, coded = cv2.imencode(".jpg", both, [cv2.IMWRITE_JPEG_QUALITY, 92])
    with atomic_write(comparison_path(output)) as partial:
        partial.write_bytes(coded.tobytes())
