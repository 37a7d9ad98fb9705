"""PDF, by QPDF: importing this module raises SetupError without pikepdf. The pictures inside get color.

A page here is a picture, not a sheet: each is decoded, colorized and put back in its place. All else stays:
text, that of text recognition too, layout, bookmarks, metadata. A JPEG inside keeps its luma coefficients.
Pictures of black and white only (text, line drawings) and of kinds that are not read stay as they are.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from colorcli.color.ycbcr import Plane
from colorcli.errors import InputError, RefusedError, needs_extra
from colorcli.images.codecs.base import Codec, Metadata, OutputPage, Page, SinglePageCodec, Size
from colorcli.images.codecs.damage import DamagedError
from colorcli.images.codecs.jpeg.codec import JPEG
from colorcli.images.codecs.jpeg2000 import JPEG2000
from colorcli.images.metadata import exif, icc, xmp
from colorcli.images.raster import Pixels, Raster

with needs_extra("PDF", "pdf"):
    import pikepdf

FILES: dict[str, SinglePageCodec] = {"/DCTDecode": JPEG, "/JPXDecode": JPEG2000}
"""Filters whose data is a file of its own."""
SAMPLES = frozenset(("/FlateDecode", "/LZWDecode", "/RunLengthDecode", "/ASCII85Decode", "/ASCIIHexDecode"))
FAX = frozenset(("/CCITTFaxDecode", "/JBIG2Decode"))
CHANNELS = {"/DeviceGray": 1, "/CalGray": 1, "/DeviceRGB": 3, "/CalRGB": 3}
SMALLEST = 64
"""Pixels of the shorter side of a picture; what is smaller is a logo, a rule or a dot."""
ROTATED = {90: 6, 180: 3, 270: 8}
"""Exif orientation by the clockwise rotation of the sheet."""
BILEVEL = "left as they are: {} images in black and white only (text, line drawings)"
NOT_READ = "left as they are: {} images of kinds that are not read (CMYK, palettes, ...)"
SIGNED = "its digital signatures are no longer valid"


@dataclass(frozen=True, kw_only=True)
class PdfPage(Page):
    """A picture inside a PDF, decoded anew each time that it is needed, so that memory holds one."""

    pdf: Any
    stream: Any
    """The image XObject (ISO 32000-1, 8.9.5)."""
    kind: str
    """Its filter if that is one of `FILES`, else empty: samples."""
    decode: Callable[[], Page]

    @property
    def luma(self) -> Raster:
        return self.decode().luma

    def reduced(self, height: int, width: int) -> tuple[Plane, Plane | None]:
        return self.decode().reduced(height, width)


class PdfCodec(Codec):
    name = "PDF"
    multipage = True

    def probe(self, source: Path) -> Size:
        with _opened(source) as pdf:
            sizes = [Size(int(image.Height), int(image.Width)) for image in _images(pdf)]
        return max(sizes, key=lambda size: size.pixels, default=Size(0, 0))

    @contextmanager
    def open(self, source: Path) -> Iterator[Sequence[Page]]:
        with _opened(source) as pdf:
            turned = _orientations(pdf)
            bilevel, strange = 0, 0
            pages = []
            for image in _images(pdf):
                page = _page(pdf, image, turned.get(image.objgen, exif.UPRIGHT))
                if page:
                    pages.append(page)
                elif _is_bilevel(image):
                    bilevel += 1
                else:
                    strange += 1
            if not pages:
                raise InputError(source, "no gray or color pictures inside", "check what it holds")
            notes = [text.format(count) for text, count in ((BILEVEL, bilevel), (NOT_READ, strange)) if count]
            if "/AcroForm" in pdf.Root and int(pdf.Root.AcroForm.get("/SigFlags", 0)) & 1:
                notes.append(SIGNED)
            yield [replace(pages[0], notes=tuple(notes)), *pages[1:]]

    def lost(self, page: Page) -> frozenset[str]:
        if not isinstance(page, PdfPage):
            raise RefusedError("PDF", "only a PDF can be written as PDF", "write another format, as TIFF")
        return frozenset()

    def write(
        self,
        target: BinaryIO,
        pages: Sequence[OutputPage],
        on_page: Callable[[int], None] = lambda done: None,
    ) -> None:
        pdf = None
        for done, output in enumerate(pages, start=1):
            page = output.page
            assert isinstance(page, PdfPage)  # see `lost`
            pdf = page.pdf
            if output.chroma is not None:
                _replace(output, page)
            on_page(done)
        assert pdf is not None
        card = next((output.card for output in pages if output.card and output.chroma is not None), None)
        packet = pdf.Root.Metadata.read_bytes() if "/Metadata" in pdf.Root else None
        if card and (marked := xmp.with_provenance(packet, card)):
            stream = pdf.make_stream(marked)
            stream.Type, stream.Subtype = pikepdf.Name.Metadata, pikepdf.Name.XML
            pdf.Root.Metadata = stream
        pdf.save(target, deterministic_id=True, linearize=pdf.is_linearized, static_id=False)


PDF = PdfCodec()


@contextmanager
def _opened(source: Path) -> Iterator[Any]:
    try:
        pdf = pikepdf.open(source)
    except pikepdf.PasswordError as error:
        raise InputError(source, "an encrypted PDF", "save it without a password") from error
    except pikepdf.PdfError as error:
        raise DamagedError(str(error).removeprefix(f"{source}: ")) from error
    with pdf:
        if pdf.is_encrypted:
            raise RefusedError(source, "a protected PDF, whose protection would be lost", "remove it first")
        yield pdf


def _images(pdf: Any) -> Iterator[Any]:
    """Every image XObject that is large enough to be a picture, but not the masks of others."""
    images = [
        each for each in pdf.objects if isinstance(each, pikepdf.Stream) and each.get("/Subtype") == "/Image"
    ]
    masks = {
        each[key].objgen
        for each in images
        for key in ("/SMask", "/Mask")
        if isinstance(each.get(key), pikepdf.Stream)
    }
    for each in images:
        shorter = min(_number(each, "/Width"), _number(each, "/Height"))
        if shorter >= SMALLEST and each.objgen not in masks and not each.get("/ImageMask"):
            yield each


def _number(dictionary: Any, key: str) -> int:
    """0 if it is missing."""
    try:
        return int(dictionary.get(key, 0))
    except (TypeError, ValueError) as error:
        raise DamagedError(f"its {key} is no number") from error


def _orientations(pdf: Any) -> dict[tuple[int, int], int]:
    """How pictures are turned on the screen by the rotation of their sheet."""
    return {
        image.objgen: ROTATED[turn]
        for sheet in pdf.pages
        if (turn := _number(sheet.obj, "/Rotate") % 360) in ROTATED
        for image in _shown(sheet.resources)
    }


def _shown(resources: Any, depth: int = 3) -> Iterator[Any]:
    """The XObjects that resources name, and those inside of forms."""
    for each in resources.get("/XObject", {}).values():
        yield each
        if depth and "/Resources" in each:
            yield from _shown(each.Resources, depth - 1)


def _filters(image: Any) -> list[str]:
    found = image.get("/Filter", [])
    return [str(found)] if isinstance(found, pikepdf.Name) else [str(name) for name in found]


def _is_bilevel(image: Any) -> bool:
    return image.get("/BitsPerComponent") == 1 or bool(
        {"/CCITTFaxDecode", "/JBIG2Decode"} & set(_filters(image))
    )


def _page(pdf: Any, image: Any, orientation: int) -> PdfPage | None:
    """The picture; None if it is of a kind that stays as it is."""
    filters = _filters(image)
    kind = filters[-1] if filters and filters[-1] in FILES else ""
    channels, profile = _colors(image)
    if kind == "/JPXDecode" and "/ColorSpace" not in image:
        channels = 3
    plain = filters[:-1] if kind else filters
    depth = 8 if kind else int(image.get("/BitsPerComponent", 0))
    unusual = "/Decode" in image or isinstance(image.get("/Mask"), pikepdf.Array) or _is_bilevel(image)
    if (
        not channels
        or unusual
        or depth not in (8, 16)
        or not set(plain) <= SAMPLES
        or (kind and len(plain) > 1)
    ):
        return None
    height, width = int(image.Height), int(image.Width)

    def decode() -> Page:
        if kind:
            data = image.read_raw_bytes()
            return FILES[kind].decode(Path("PDF"), zlib.decompress(data) if plain else data)
        samples = np.frombuffer(image.read_bytes(), np.uint8 if depth == 8 else ">u2")
        if samples.size < height * width * channels:
            raise DamagedError("a picture is truncated")
        pixels = samples[: height * width * channels].reshape(height, width, channels)
        return Page(Raster.of(pixels.astype(pixels.dtype.newbyteorder("="))), Metadata(icc=profile))

    raster = Raster(height, width, channels, depth, lambda: decode().raster.bands())
    return PdfPage(
        raster, Metadata(icc=profile), orientation, pdf=pdf, stream=image, kind=kind, decode=decode
    )  # fmt: skip


def _colors(image: Any) -> tuple[int, bytes | None]:
    """Channels of a color space that is read, 0 for another, and its ICC profile."""
    space = image.get("/ColorSpace")
    if isinstance(space, pikepdf.Array):
        if space[0] == "/ICCBased":
            channels = int(space[1].N)
            return (channels if channels in (1, 3) else 0), bytes(space[1].read_bytes())
        space = space[0]
    return CHANNELS.get(str(space), 0), None


def _replace(output: OutputPage, page: PdfPage) -> None:
    """Put the picture in color in the place of the gray one."""
    stream = page.stream
    colored = replace(output, page=page.decode())
    if page.kind:
        data = FILES[page.kind].encode(colored)
        stream.write(data, filter=pikepdf.Name(page.kind))
    else:
        pixels = colored.raster.array()
        parameters = pikepdf.Dictionary(
            Predictor=2, Colors=3, BitsPerComponent=8 * pixels.itemsize, Columns=page.raster.width
        )
        stream.write(_packed(pixels), filter=pikepdf.Name.FlateDecode, decode_parms=parameters)
    if page.raster.channels == 1:
        stream.ColorSpace = _rgb_space(page.pdf, page.metadata.icc)


def _packed(pixels: Pixels) -> bytes:
    """Samples [H, W, C] with TIFF's horizontal predictor, deflated."""
    first, rest = pixels[:, :1], pixels[:, 1:] - pixels[:, :-1]  # unsigned, wraps as it should
    samples = np.concatenate([first, rest], axis=1)
    return zlib.compress(samples.astype(samples.dtype.newbyteorder(">"), copy=False).tobytes())


def _rgb_space(pdf: Any, gray_profile: bytes | None) -> Any:
    profile = icc.for_rgb(gray_profile)
    if profile is None:
        return pikepdf.Name.DeviceRGB
    stream = pdf.make_stream(profile)
    stream.N = 3
    return pikepdf.Array([pikepdf.Name.ICCBased, pdf.make_indirect(stream)])
