"""The interface of a codec, which probes a file, opens it as pages, and writes pages in color.

To add a format, write a module with a codec (usually a `SinglePageCodec`: `probe`, `decode`, `encode`) and
list it in `registry.py`. A page that any codec has opened can be written by any other.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

from colorcli.color.ycbcr import Plane, ycbcr_from_rgb
from colorcli.images.chroma import GuidedChroma, colorized
from colorcli.images.metadata import exif, icc, xmp
from colorcli.images.metadata.thumbnail import color_thumbnail
from colorcli.images.raster import Raster, gray_of
from colorcli.networks.card import ModelCard

HEADER_BYTES = 1 << 20
"""Bytes from the start of a file that are searched for the size of the image."""


ALPHA, DEPTH, EXIF, IPTC, XMP, ICC, ORIENTATION, MAKER_NOTE = FEATURES = (
    "alpha", "16 bits", "Exif", "IPTC", "XMP", "the color profile", "the orientation", "the maker note",
)  # fmt: skip
"""What a page may have that not every format can hold."""


class Size(NamedTuple):
    height: int
    width: int

    @property
    def pixels(self) -> int:
        return self.height * self.width


@dataclass(frozen=True)
class Metadata:
    """What a file has beside its pixels, as the bytes that every format embeds in its own way."""

    exif: bytes | None = None
    """A TIFF structure, from its byte order mark on."""
    xmp: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    """Pixels an inch, across and down."""
    iptc: bytes | None = None
    """Records of IPTC-IIM."""


@dataclass(frozen=True)
class Page:
    """One image of a file. A codec's own subclass carries what only that format can write back."""

    raster: Raster
    """Pixels as stored, gray or RGB, with or without alpha; decoded when they are asked for."""
    metadata: Metadata = field(default_factory=Metadata)
    orientation: int = exif.UPRIGHT
    """Exif orientation, 1 to 8."""
    notes: tuple[str, ...] = ()
    """What the user has to know about how the page was read."""
    confined: tuple[str, ...] = ()
    """What only its own format can hold, for the user of another."""

    @property
    def features(self) -> frozenset[str]:
        """Those of `FEATURES` that the page has."""
        data = self.metadata
        has = (
            self.raster.has_alpha, self.raster.depth > 8, data.exif, data.iptc, data.xmp, data.icc,
            self.orientation != exif.UPRIGHT, False,
        )  # fmt: skip
        return frozenset(feature for feature, present in zip(FEATURES, has, strict=True) if present)

    @property
    def luma(self) -> Raster:
        """The raster whose gray the output must reproduce: `raster`, unless the format stores luma."""
        return self.raster

    def reduced(self, height: int, width: int) -> tuple[Plane, Plane | None]:
        """Luma [height, width] in [0, 1], and chroma [2, h, w] of any size, None if the page has none."""
        planes = self.raster.reduced(height, width)
        return gray_of(planes), ycbcr_from_rgb(planes)[1] if len(planes) == 3 else None


@dataclass(frozen=True)
class OutputPage:
    """A page to be written, with new colors or the colors it has."""

    page: Page
    chroma: GuidedChroma | None
    """The new colors; None for a page that keeps its own."""
    card: ModelCard | None = None
    """The model to be named as the source of the colors, if any."""

    @cached_property
    def raster(self) -> Raster:
        """The pixels in color."""
        return (
            self.page.raster
            if self.chroma is None
            else colorized(self.page.luma, self.chroma, self.page.raster)
        )

    @cached_property
    def metadata(self) -> Metadata:
        """The page's metadata, corrected where color makes it wrong: profile, thumbnail, provenance."""
        result = replace(self.page.metadata, icc=icc.for_rgb(self.page.metadata.icc))
        if self.chroma is None:
            return result
        if result.exif:
            result = replace(result, exif=color_thumbnail(result.exif, self.chroma.preview()))
        return replace(result, xmp=self._marked or result.xmp)

    @cached_property
    def _marked(self) -> bytes | None:
        """The XMP packet that names the model; None if there is no model, or no way to add it."""
        return xmp.with_provenance(self.page.metadata.xmp, self.card) if self.card else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user has to know about the page as it is written."""
        if self.chroma is None or self.card is None or self._marked:
            return self.page.notes
        return *self.page.notes, "its XMP cannot be extended: kept as it is, without the name of the model"


class Codec(ABC):
    """Reads and writes one format.

    `probe` and `open` may raise any exception for a damaged file; the caller turns it into an InputError that
    names the file. They raise InputError or RefusedError themselves if a sound file is not supported.
    """

    name: str
    """For messages."""
    multipage = False
    holds: frozenset[str] = frozenset(FEATURES)
    """Those of `FEATURES` that the format can hold."""

    @property
    def salvaging(self) -> "Codec":
        """This codec, reading what can be read of damaged files, if it knows how to."""
        return self

    @abstractmethod
    def probe(self, source: Path) -> Size:
        """The size of the largest page, from the file's header: nothing is decoded."""

    @abstractmethod
    def open(self, source: Path) -> AbstractContextManager[Sequence[Page]]:
        """The pages of a file; their rasters are valid inside the context only."""

    def lost(self, page: Page) -> frozenset[str]:
        """Those of the page's features that this codec would not write."""
        lost = page.features - self.holds
        return lost - {ALPHA} if ALPHA in lost and page.raster.is_opaque() else lost

    @abstractmethod
    def write(
        self,
        target: BinaryIO,
        pages: Sequence[OutputPage],
        on_page: Callable[[int], None] = lambda done: None,
    ) -> None:
        """Write pages that any codec has read; `on_page` gets the number of pages written so far."""


class SinglePageCodec(Codec):
    """A format of one image a file, decoded and encoded in memory."""

    @contextmanager
    def open(self, source: Path) -> Iterator[Sequence[Page]]:
        yield [self.decode(source, source.read_bytes())]

    def write(
        self,
        target: BinaryIO,
        pages: Sequence[OutputPage],
        on_page: Callable[[int], None] = lambda done: None,
    ) -> None:
        (page,) = pages
        target.write(self.encode(page))
        on_page(1)

    @abstractmethod
    def decode(self, source: Path, data: bytes) -> Page:
        """`source` is for messages only."""

    @abstractmethod
    def encode(self, page: OutputPage) -> bytes: ...


class ReadOnlyCodec(SinglePageCodec):
    """A format that is not written: `registry` names another one for the output."""

    def encode(self, page: OutputPage) -> bytes:
        raise NotImplementedError


def read_header(source: Path) -> bytes:
    """The first bytes of a file, in which most formats give the size of the image."""
    with source.open("rb") as file:
        return file.read(HEADER_BYTES)
