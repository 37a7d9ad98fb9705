"""The road of one still: told by its first bytes, measured, judged, colored, written whole."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from colorcli.color.detection import has_color
from colorcli.color.ycbcr import Plane, ycbcr_from_rgb
from colorcli.colorizer.predictor import Colorizer
from colorcli.errors import ColorcliError, InputError
from colorcli.files import atomic_write
from colorcli.images.chroma import ChromaFit, paint_small, painted
from colorcli.images.codecs import jpeg2000, png
from colorcli.images.codecs import pillow as others
from colorcli.images.codecs.base import Page, Still
from colorcli.images.codecs.jpeg import codec as jpeg
from colorcli.images.codecs.jpeg import header as jpeg_head
from colorcli.images.codecs.jpeg.thumbnail import with_color_thumbnail
from colorcli.images.codecs.registry import HEAD, SUFFIXES, Format, known_suffixes, sniff
from colorcli.images.codecs.tiff import codec as tiff
from colorcli.images.measure import check_size
from colorcli.images.orientation import Colorist
from colorcli.images.raster import Raster, planes_luma, shrunk_plane
from colorcli.models.card import ModelCard
from colorcli.options import Outcome, RunOptions

HELD_BYTES = 1 << 27
"""A TIFF of up to so many bytes of pixels is decoded once and held; a larger one is read twice."""


@dataclass(frozen=True)
class Task:
    source: Path
    output: Path
    options: RunOptions
    colorist: Colorist
    pulse: Callable[[int, int], None]

    @property
    def card(self) -> ModelCard | None:
        """The model to name in the output, None where provenance is not wanted."""
        return self.colorist.card if self.options.color.provenance else None

    def wants_color(self, luma: Plane, chroma: Plane | None) -> bool:
        return self.options.color.recolor or chroma is None or not has_color(luma, chroma)


def process(
    source: Path,
    output: Path,
    options: RunOptions,
    colorizer: Colorizer,
    pulse: Callable[[int, int], None],
) -> Outcome:
    """Color one still; see `colorcli.images.colorize_still`."""
    task = Task(source, output, options, Colorist(colorizer, options.color), pulse)
    read_as, write_as = _format_of(source), _format_for(output)
    try:
        check_size(source, read_as, options.max_pixels)
        if read_as is Format.TIFF:
            return _tiff(task, write_as)
        data = source.read_bytes()
        if read_as is Format.JPEG:
            return _jpeg(task, data, write_as)
        return _single(task, _read(source, data, read_as), read_as, write_as)
    except ColorcliError:
        raise
    except MemoryError as error:
        raise InputError(
            source, "does not fit into memory", "use fewer --jobs or a larger machine"
        ) from error
    except Exception as error:  # decoders raise what they like on broken files, and a batch has to go on
        cause = f"damaged {read_as.upper()} ({type(error).__name__}: {error})"
        raise InputError(source, cause, "scan or copy it again; if it is sound, report this") from error


def _read(source: Path, data: bytes, read_as: Format) -> Still:
    match read_as:
        case Format.PNG:
            return png.read(source, data)
        case Format.JPEG2000:
            return jpeg2000.read(source, data)
        case _:
            return others.read(source, data, read_as)


def _format_of(source: Path) -> Format:
    try:
        with source.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise InputError(
            source, f"cannot be read ({error.strerror})", "check the file and its rights"
        ) from error
    if not head:
        raise InputError(source, "the file is empty", "copy it again")
    found = sniff(head)
    if found is None:
        raise InputError(source, "not a picture in any format that is read here", "check what the file is")
    return found


def _format_for(output: Path) -> Format:
    found = SUFFIXES.get(output.suffix.lower())
    if found is None:
        raise InputError(output, "no format is known by this suffix", f"use one of {known_suffixes()}")
    return found


def _jpeg(task: Task, data: bytes, write_as: Format) -> Outcome:
    """From JPEG, whose luma is there to be had; to JPEG, luma's scan stays as it is."""
    picture = jpeg.read(task.source, data)
    height, width = picture.pixels.shape
    luma = shrunk_plane(picture.pixels, *task.colorist.small_shape(height, width))
    if not task.wants_color(luma, picture.chroma):
        if write_as is Format.JPEG:
            return _copied(task)
        metadata = jpeg_head.metadata_of(picture.head)
        _publish(task, _converted(write_as, Page(jpeg.color_raster(task.source, data), metadata), None))
        return _outcome(height, width, 1, "copied")
    fit = task.colorist.colors(luma, (height, width), jpeg_head.orientation_of(picture.head))
    head = with_color_thumbnail(picture.head, paint_small(luma, fit))
    if write_as is Format.JPEG:
        content = jpeg.colored(picture, fit, jpeg_head.for_color(head, task.card))
    else:
        gray = Raster.of(picture.pixels[:, :, None])
        content = _converted(write_as, Page(painted(gray, fit), jpeg_head.metadata_of(head)), task.card)
    _publish(task, content)
    return _outcome(height, width, 1)


def _single(task: Task, still: Still, read_as: Format, write_as: Format) -> Outcome:
    """One picture of any other format, through memory."""
    page = still.page
    fit = _fit(task, page)
    if fit is None and read_as is write_as:
        return _copied(task)
    card = task.card if fit else None
    if fit and write_as is Format.JPEG:
        content = _as_jpeg(page, fit, card)
    else:
        color = painted(page.raster, fit) if fit else page.raster
        same = read_as is write_as
        content = (
            still.encode(color, card) if same else _converted(write_as, replace(page, raster=color), card)
        )
    _publish(task, content)
    return _outcome(page.raster.height, page.raster.width, 1, "colorized" if fit else "copied")


def _tiff(task: Task, write_as: Format) -> Outcome:
    """All pages of a TIFF: each judged and colored by itself, none in memory whole."""
    with tiff.opened(task.source) as (layout, pages):
        if write_as is not Format.TIFF:
            if len(pages) > 1:
                cause = f"holds {len(pages)} pages, and {write_as.upper()} one"
                raise InputError(task.source, cause, "write it as TIFF")
            (only,) = pages
            still = Still(only.page, lambda color, card: b"")
            return _single(task, still, Format.TIFF, write_as)
        if sum(part.page.raster.size for part in pages) <= HELD_BYTES:
            pages = [part.held() for part in pages]
        fits = []
        for number, part in enumerate(pages, start=1):
            fits.append(_fit(task, part.page))
            task.pulse(number, 2 * len(pages))
        if not any(fits):
            return _copied(task)
        rasters = [
            [painted(one.page.raster, fit) if fit else one.page.raster for one in (part, *part.levels)]
            for part, fit in zip(pages, fits, strict=True)
        ]
        with _whole(task) as partial, partial.open("w+b") as target:
            for number in tiff.write(target, layout, pages, rasters, task.card):
                task.pulse(len(pages) + number, 2 * len(pages))
    first = pages[0].page.raster
    return _outcome(first.height, first.width, len(pages))


def _fit(task: Task, page: Page) -> ChromaFit | None:
    """The page's new colors, None where it has some already."""
    raster = page.raster
    small = raster.shrunk(*task.colorist.small_shape(raster.height, raster.width))
    luma = planes_luma(small)
    chroma = ycbcr_from_rgb(small)[1] if len(small) == 3 else None
    if not task.wants_color(luma, chroma):
        return None
    return task.colorist.colors(luma, (raster.height, raster.width), page.orientation)


def _as_jpeg(page: Page, fit: ChromaFit, card: ModelCard | None) -> bytes:
    gray = jpeg.from_raster(page.raster, page.metadata.dpi)
    head = [*gray.head, *jpeg_head.from_metadata(page.metadata)]
    return jpeg.colored(gray, fit, jpeg_head.for_color(head, card))


def _converted(write_as: Format, page: Page, card: ModelCard | None) -> bytes:
    """A page, already in its colors, in another format than it came in."""
    match write_as:
        case Format.PNG:
            return png.encode(page.raster, page.metadata, card)
        case Format.TIFF:
            return tiff.encode(page, card)
        case Format.JPEG2000:
            return jpeg2000.encode(page.raster, page.metadata, card)
        case Format.JPEG:
            return jpeg.encode_color(page.raster, jpeg_head.from_metadata(page.metadata))
        case _:
            return others.encode(write_as, page.raster.narrowed(), page.metadata, card)


def _publish(task: Task, content: bytes) -> None:
    with _whole(task) as partial:
        partial.write_bytes(content)


def _copied(task: Task) -> Outcome:
    with _whole(task) as partial:
        shutil.copyfile(task.source, partial)
    return Outcome("copied")


@contextmanager
def _whole(task: Task) -> Iterator[Path]:
    with atomic_write(task.output) as partial:
        yield partial
        if task.options.preserve_times:
            times = task.source.stat()
            os.utime(partial, ns=(times.st_atime_ns, times.st_mtime_ns))


def _outcome(height: int, width: int, pages: int, action: str = "colorized") -> Outcome:
    return Outcome(action, {"width": width, "height": height, "pages": pages})
