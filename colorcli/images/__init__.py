"""Stills: one file in, one file out, in color, with everything else as it was."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from colorcli.options import Outcome, RunOptions

if TYPE_CHECKING:
    from colorcli.colorizer.predictor import Colorizer

Pulse = Callable[[int, int], None]
"""Told how many pages of how many are done."""


def colorize_still(
    source: Path,
    output: Path,
    options: RunOptions,
    colorizer: "Colorizer",
    pulse: Pulse = lambda done, total: None,
) -> Outcome:
    """Color the picture `source` into `output`, whose suffix says in which format.

    Raises:
        InputError: it cannot be read or written.
        RefusedError: it has more pixels than `options.max_pixels`, or pages that the format cannot hold.
        SetupError: its format needs a library that is not installed.
    """
    from colorcli.images.colorize import process

    return process(source, output, options, colorizer, pulse)
