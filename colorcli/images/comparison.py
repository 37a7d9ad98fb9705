"""`--compare`: a page becomes its gray beside its color, as it is displayed."""

from collections.abc import Iterator

import numpy as np

from colorcli.images.codecs.base import OutputPage, Page
from colorcli.images.raster import Pixels, Raster, band_luma

TURNED = (5, 6, 7, 8)
"""Exif orientations whose stored rows are displayed as columns."""
FROM_THE_RIGHT = (2, 3, 6, 7)
"""Exif orientations in which what is stored first is displayed on the right."""


def with_gray(output: OutputPage) -> OutputPage:
    """The same page, twice as wide, gray on the left; pages that keep their color stay as they are."""
    if output.chroma is None:
        return output
    page = plain(output.page)
    raster = _beside(output.raster, page.orientation in TURNED, page.orientation not in FROM_THE_RIGHT)
    return OutputPage(Page(raster, output.metadata, page.orientation, output.notes), None)


def plain(page: Page) -> Page:
    """Without what only a format's own kind of page has, as luma that is kept or smaller copies."""
    return Page(page.raster, page.metadata, page.orientation, page.notes)


def _beside(color: Raster, turned: bool, gray_first: bool) -> Raster:
    halves = (_gray, _same) if gray_first else (_same, _gray)

    def above() -> Iterator[Pixels]:
        for half in halves:
            yield from map(half, color.bands())

    def pairs() -> Iterator[Pixels]:
        for band in color.bands():
            yield np.concatenate([half(band) for half in halves], axis=1)

    if turned:
        return Raster(2 * color.height, color.width, color.channels, color.depth, above)
    return Raster(color.height, 2 * color.width, color.channels, color.depth, pairs)


def _same(band: Pixels) -> Pixels:
    return band


def _gray(band: Pixels) -> Pixels:
    """Rows of RGB with or without alpha in the gray they have."""
    result = band.copy()
    result[:, :, :3] = np.rint(band_luma(band))[:, :, None]
    return result
