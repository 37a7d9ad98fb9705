"""What every format module gives and takes."""

from collections.abc import Callable
from dataclasses import dataclass

from colorcli.images.metadata.exif import UPRIGHT
from colorcli.images.raster import Raster
from colorcli.models.card import ModelCard


@dataclass(frozen=True)
class Metadata:
    """What travels beside the pixels, as the bytes that every format wraps in its own way."""

    exif: bytes | None = None
    """TIFF-structured, from its byte order mark on."""
    xmp: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Page:
    """One picture of a file, its pixels still to be asked for."""

    raster: Raster
    metadata: Metadata = Metadata()
    orientation: int = UPRIGHT


@dataclass(frozen=True)
class Still:
    """A decoded file of one picture."""

    page: Page
    encode: Callable[[Raster, ModelCard | None], bytes]
    """The page in new colors, in its own format, with all that stood beside it and the model to name."""
