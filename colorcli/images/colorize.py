"""One image, from file to file: its pages are opened, their chroma is predicted, and all of it is written.

The codec of the input's format opens pages, the codec of the output's format writes them; what is in between
is the same for all formats.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from colorcli.color.detection import has_color
from colorcli.colorizer.color_sources import ColorSources
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.errors import ColorcliError, InputError, RefusedError
from colorcli.files import atomic_write
from colorcli.images.chroma import GuidedChroma
from colorcli.images.codecs.base import Codec, OutputPage, Page
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.codecs.registry import input_format, output_format
from colorcli.images.orientation import displayed, displayed_shape, stored
from colorcli.options import Outcome, RunOptions


def colorize_image(
    source: Path,
    output: Path,
    options: RunOptions,
    predictor: ChromaPredictor,
    sources: ColorSources,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Colorize the image `source` into `output`, whose suffix gives the format.

    Pages that have color already are kept as they are, unless `options.color.recolor`; if all have, and the
    format stays, the file is copied. `on_progress` gets the steps done and their total, two for each page.

    Raises:
        UsageError: the suffix of the output is not that of a format that can hold color.
        InputError: the source cannot be read, or the output cannot be written or cannot hold what is in it.
        RefusedError: a page has more pixels than `options.max_pixels`.
        SetupError: a format needs a library that is not installed.
    """
    reader, writer = input_format(source).codec, output_format(output).codec
    with _errors_named(source, reader):
        _check_size(source, reader, options.max_pixels)
        with reader.open(source) as pages:
            if len(pages) > 1 and not writer.multipage:
                cause = f"has {len(pages)} pages, and {writer.name} can hold one"
                raise InputError(source, cause, "write it as TIFF")
            card = predictor.card if options.color.provenance else None
            outputs = []
            for page in pages:
                chroma = _new_chroma(page, options.color.recolor, predictor, sources)
                outputs.append(OutputPage(page, chroma, card))
                on_progress(len(outputs), 2 * len(pages))
            colorized = any(page.chroma for page in outputs)
            with _output_file(source, output, options.preserve_times) as partial:
                if colorized or reader is not writer:
                    with partial.open("w+b") as target:
                        writer.write(
                            target, outputs, lambda done: on_progress(len(pages) + done, 2 * len(pages))
                        )
                else:
                    shutil.copyfile(source, partial)
    first = pages[0].raster
    facts: dict[str, object] = {"width": first.width, "height": first.height, "pages": len(pages)}
    return Outcome("colorized" if colorized else "copied", facts)


def _new_chroma(
    page: Page, recolor: bool, predictor: ChromaPredictor, sources: ColorSources
) -> GuidedChroma | None:
    """The page's predicted chroma; None if it has color of its own, which stays.

    The network and the user's hints see the page as it is displayed.
    """
    height, width = page.raster.height, page.raster.width
    luma, own = page.reduced(*predictor.working_shape(height, width))
    if own is not None and not recolor and has_color(luma, own):
        return None
    upright = np.ascontiguousarray(displayed(luma, page.orientation))
    shape = displayed_shape(height, width, page.orientation)
    (chroma,) = predictor.predict([upright], [sources.hints_for(shape, upright, predictor)])
    return GuidedChroma.fit(np.ascontiguousarray(stored(chroma, page.orientation)), luma)


def _check_size(source: Path, codec: Codec, max_pixels: int) -> None:
    pixels = codec.probe(source).pixels
    if pixels > max_pixels:
        cause = f"{pixels:,} pixels, more than the {max_pixels:,} allowed"
        raise RefusedError(source, cause, "raise --max-pixels if the file can be trusted")


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
    except MemoryError as error:
        remedy = "use fewer --jobs or a larger machine"
        raise InputError(source, "does not fit into memory", remedy) from error
    except DamagedError as error:
        raise InputError(source, f"damaged {codec.name} ({error})", "scan or copy it again") from error
    except Exception as error:  # libraries raise anything on damaged files, and a batch has to continue
        remedy = "scan or copy it again; if other programs can open it, report this"
        raise InputError(source, f"damaged {codec.name}", remedy) from error
