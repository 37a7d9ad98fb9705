"""One image, from file to file: its pages are opened, their chroma is predicted, and all of it is written.

The codec of the input's format opens pages, the codec of the output's format writes them; what is in between
is the same for all formats.
"""

import os
import re
import shutil
import struct
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from colorcli.color.detection import has_color
from colorcli.color.own_parts import own_parts
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.color_sources import ColorSources
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.errors import ColorcliError, InputError, RefusedError, bug
from colorcli.files import atomic_write
from colorcli.images.chroma import GuidedChroma, colorized
from colorcli.images.codecs.base import FEATURES, Codec, OutputPage, Page
from colorcli.images.codecs.damage import DamagedError, NoPictureError
from colorcli.images.codecs.registry import input_format, output_format
from colorcli.images.comparison import plain, with_gray
from colorcli.images.orientation import displayed, displayed_shape, stored
from colorcli.images.raster import Pixels, Raster, gray_of
from colorcli.options import Outcome, RunOptions

ROOT = Path(__file__).parents[1]
"""The folder of this package."""
OWN_PARTS = "parts that have color beside a black-and-white picture keep it; --recolor colorizes them"
OUT_OF_MEMORY = re.compile(
    r"out of memory|insufficient memory|bad.?alloc|cannot allocate|failed to allocate", re.I
)
"""How libraries say it, which raise exceptions of their own."""


def colorize_image(
    source: Path,
    output: Path,
    options: RunOptions,
    predictor: ChromaPredictor,
    sources: ColorSources,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_note: Callable[[str], None] = lambda message: None,
) -> Outcome:
    """Colorize the image `source` into `output`, whose suffix gives the format.

    Pages that have color already are kept as they are, unless `options.color.recolor`; if all have, and the
    format stays, the file is copied. `on_progress` gets the steps done and their total, two for each page;
    `on_note` gets what a careful user wants to know, as a part of the file that was left out.

    Raises:
        UsageError: the suffix of the output is not that of a format that can hold color.
        InputError: the source cannot be read, or the output cannot be written or cannot hold what is in it.
        RefusedError: a page has more pixels than `options.max_pixels`, or something that the format of the
            output cannot hold, unless `options.lossy`.
        SetupError: a format needs a library that is not installed.
    """
    reader, writer = input_format(source).codec, output_format(output).codec
    with _opened(source, reader, writer, options, on_note) as pages:
        card = predictor.card if options.color.provenance else None
        outputs, has_new_color = [], False
        for page in pages:
            chroma = _new_chroma(page, options.color.recolor, predictor, sources)
            result = OutputPage(page, chroma, card)
            outputs.append(with_gray(result) if options.compare else result)
            on_progress(len(outputs), 2 * len(pages))
            has_new_color |= chroma is not None
            if chroma is not None and chroma.own is not None:
                on_note(OWN_PARTS)
        rewritten = has_new_color or reader is not writer
        for note in dict.fromkeys(note for page in outputs for note in page.notes if rewritten):
            on_note(note)
        with _output_file(source, output, options.preserve_times) as partial:
            if rewritten:
                with partial.open("w+b") as target:
                    writer.write(target, outputs, lambda done: on_progress(len(pages) + done, 2 * len(pages)))
            else:
                shutil.copyfile(source, partial)
    return Outcome("colorized" if has_new_color else "copied", _facts(pages))


def inspect_image(
    source: Path,
    output: Path,
    options: RunOptions,
    predictor: ChromaPredictor,
    on_note: Callable[[str], None] = lambda message: None,
) -> Outcome:
    """What `colorize_image` would do, found by decoding; raises what it would raise before it writes."""
    reader, writer = input_format(source).codec, output_format(output).codec
    with _opened(source, reader, writer, options, on_note) as pages:
        keep = [not options.color.recolor and _keeps_color(*_reduced(page, predictor)) for page in pages]
        return Outcome("to_copy" if all(keep) else "to_colorize", _facts(pages))


@contextmanager
def _opened(
    source: Path, reader: Codec, writer: Codec, options: RunOptions, on_note: Callable[[str], None]
) -> Iterator[Sequence[Page]]:
    """The pages of an image that can be written as asked."""
    reader = reader.salvaging if options.salvage else reader
    with _errors_named(source, reader):
        _check_size(source, reader, options.max_pixels)
        with reader.open(source) as pages:
            if len(pages) > 1 and not writer.multipage:
                cause = f"has {len(pages)} pages, and {writer.name} can hold one"
                raise InputError(source, cause, "write it as TIFF")
            written = [plain(page) for page in pages] if options.compare else pages
            _check_losses(source, written, writer, options.lossy, on_note)
            if reader.name != writer.name:
                for part in dict.fromkeys(part for page in pages for part in page.confined):
                    on_note(f"left out of the {writer.name}: {part}")
            yield pages


def _facts(pages: Sequence[Page]) -> dict[str, object]:
    first = pages[0].raster
    return {"width": first.width, "height": first.height, "pages": len(pages)}


def colorize_array(pixels: Pixels, predictor: ChromaPredictor, sources: ColorSources) -> Pixels:
    """Colorize a picture in memory, uint8 or uint16: gray [H, W] or RGB [H, W, 3] -> RGB [H, W, 3].

    Raises:
        InputError: the hints do not belong to this picture.
    """
    height, width = pixels.shape[:2]
    raster = Raster.of(pixels.reshape(height, width, -1))
    luma = gray_of(raster.reduced(*predictor.working_shape(height, width)))
    (chroma,) = predictor.predict([luma], [sources.hints_for((height, width), luma, predictor)])
    return colorized(raster, GuidedChroma.fit(chroma, luma)).array()


def _new_chroma(
    page: Page, recolor: bool, predictor: ChromaPredictor, sources: ColorSources
) -> GuidedChroma | None:
    """The page's predicted chroma; None if it has color of its own, which stays.

    The network and the user's hints see the page as it is displayed.
    """
    height, width = page.raster.height, page.raster.width
    luma, own = _reduced(page, predictor)
    parts = None if recolor or own is None else own_parts(luma, own)
    if parts is None and not recolor and _has_color(luma, own):
        return None
    upright = np.ascontiguousarray(displayed(luma, page.orientation))
    shape = displayed_shape(height, width, page.orientation)
    (chroma,) = predictor.predict([upright], [sources.hints_for(shape, upright, predictor)])
    fit = GuidedChroma.fit(np.ascontiguousarray(stored(chroma, page.orientation)), luma)
    return replace(fit, own=parts)


def _reduced(page: Page, predictor: ChromaPredictor) -> tuple[Plane, Plane | None]:
    return page.reduced(*predictor.working_shape(page.raster.height, page.raster.width))


def _keeps_color(luma: Plane, chroma: Plane | None) -> bool:
    return _has_color(luma, chroma) and (chroma is None or own_parts(luma, chroma) is None)


def _has_color(luma: Plane, chroma: Plane | None) -> bool:
    return chroma is not None and has_color(luma, chroma)


def _check_size(source: Path, codec: Codec, max_pixels: int) -> None:
    pixels = codec.probe(source).pixels
    if pixels > max_pixels:
        cause = f"{pixels:,} pixels, more than the {max_pixels:,} allowed"
        raise RefusedError(source, cause, "raise --max-pixels if the file can be trusted")


def _check_losses(
    source: Path, pages: Sequence[Page], writer: Codec, lossy: bool, on_note: Callable[[str], None]
) -> None:
    features = frozenset().union(*(writer.lost(page) for page in pages))
    lost = ", ".join(feature for feature in FEATURES if feature in features)
    if lost and not lossy:
        cause = f"{writer.name} cannot hold {lost}"
        raise RefusedError(source, cause, "write another format, as TIFF, or choose --lossy")
    if lost:
        on_note(f"{lost} left out: {writer.name} cannot hold it")


@contextmanager
def _output_file(source: Path, output: Path, preserve_times: bool) -> Iterator[Path]:
    with atomic_write(output) as partial:
        yield partial
        if preserve_times:
            times = source.stat()
            os.utime(partial, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextmanager
def _errors_named(source: Path, codec: Codec) -> Iterator[None]:
    """Turn any exception of a codec into an error that names the file."""
    try:
        yield
    except ColorcliError:
        raise
    except DamagedError as error:
        remedy = "scan or copy it again"
        if codec.salvaging is not codec and not isinstance(error, NoPictureError):
            remedy += ", or colorize what can be read with --salvage"
        raise InputError(source, f"damaged {codec.name} ({error})", remedy) from error
    except Exception as error:  # libraries raise anything on damaged files, and a batch has to continue
        if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
            remedy = "use fewer --jobs or a larger machine"
            raise InputError(source, "does not fit into memory", remedy) from error
        if not _is_about_data(error):
            raise bug(source, error) from error
        cause = f"damaged {codec.name}, or of a kind that is not read"
        remedy = "if another program opens it, save it there as TIFF or PNG; else copy it again"
        raise InputError(source, cause, remedy) from error


def _is_about_data(error: Exception) -> bool:
    """Whether an exception says that bytes cannot be decoded: a library's own, or raised inside of one."""
    if isinstance(error, struct.error | zlib.error | OSError | EOFError):
        return True
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    return type(error).__module__ != "builtins" or not Path(raised_in).is_relative_to(ROOT)
