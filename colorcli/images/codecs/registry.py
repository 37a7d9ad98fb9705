"""Every image format that is read and written: its suffixes, its first bytes, and where its codec is.

A new format is one entry here and one module beside this one; `Format.codec` imports that module on first
use, so that looking formats up needs nothing but the standard library.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from colorcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from colorcli.images.codecs.base import Codec

HEAD = 64
"""Bytes from the start of a file that `sniff` needs."""


@dataclass(frozen=True)
class Format:
    name: str
    suffixes: tuple[str, ...]
    """In lower case, the usual one first."""
    matches: Callable[[bytes], bool]
    """Whether a file that starts with these bytes is of this format."""
    location: str
    """`module:name` of the codec, the module below `colorcli.images.codecs`."""
    becomes: str = ""
    """The suffix of the colorized copy, if the format is only read."""

    @property
    def codec(self) -> "Codec":
        """Raises SetupError if the format needs a library that is not installed."""
        module, _, name = self.location.partition(":")
        codec: Codec = getattr(import_module(f"colorcli.images.codecs.{module}"), name)
        return codec


def _starts_with(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


def _is_bmp(head: bytes) -> bool:
    return head[:2] == b"BM" and head[6:10] == bytes(4)


def _is_netpbm(head: bytes) -> bool:
    return head[:2] in (b"P2", b"P3", b"P5", b"P6") and head[2:3] in (b" ", b"\t", b"\r", b"\n", b"#")


def _iso_brands(head: bytes) -> set[bytes]:
    """The brands of an ISO base media file (ISO/IEC 14496-12, 4.3)."""
    if head[4:8] != b"ftyp":
        return set()
    size = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))}


def _is_raw(head: bytes) -> bool:
    """Raw files that are not TIFF: Olympus, Panasonic, Fujifilm, Minolta, Canon's CR3."""
    signatures = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"\0MRM")
    return head.startswith(signatures) or b"crx " in _iso_brands(head)


RAW = Format(
    "camera raw",
    (".dng", ".nef", ".nrw", ".arw", ".sr2", ".cr2", ".cr3", ".orf", ".rw2", ".raf", ".pef", ".srw", ".3fr",
     ".fff", ".iiq", ".dcr", ".kdc", ".mos", ".mrw", ".erf"),
    _is_raw, "raw:RAW", becomes=".tif",
)  # fmt: skip
"""Most raw files begin as TIFF files do, so that only their suffix tells them apart."""
# Order matters once: `mif1`, a brand of HEIC, only says that images are inside, and AVIF files have it too.
FORMATS = (
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), _starts_with(b"\xff\xd8\xff"), "jpeg.codec:JPEG"),
    Format("PNG", (".png",), _starts_with(b"\x89PNG\r\n\x1a\n"), "png:PNG"),
    Format(
        "TIFF", (".tif", ".tiff"), _starts_with(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "tiff.codec:TIFF"
    ),
    Format(
        "WebP", (".webp",), lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", "pillow:WEBP"
    ),
    Format("BMP", (".bmp",), _is_bmp, "pillow:BMP"),
    Format(
        "JPEG 2000", (".jp2", ".j2k", ".jpx"),
        _starts_with(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), "jpeg2000:JPEG2000",
    ),
    Format("AVIF", (".avif",), lambda head: bool(_iso_brands(head) & {b"avif", b"avis"}), "pillow:AVIF"),
    Format(
        "HEIC", (".heic", ".heif"),
        lambda head: bool(_iso_brands(head) & {b"heic", b"heix", b"heim", b"mif1"}), "heic:HEIC",
    ),
    Format("Netpbm", (".ppm", ".pgm", ".pnm"), _is_netpbm, "netpbm:NETPBM"),
    Format("JPEG XL", (".jxl",), _starts_with(b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"), "jpegxl:JPEGXL"),
    Format("GIF", (".gif",), _starts_with(b"GIF87a", b"GIF89a"), "pillow:GIF", becomes=".png"),
    Format("Photoshop", (".psd", ".psb"), _starts_with(b"8BPS"), "psd:PSD", becomes=".tif"),
    Format("PDF", (".pdf",), _starts_with(b"%PDF-"), "pdf:PDF"),
    RAW,
)  # fmt: skip
SUFFIXES = {suffix: entry for entry in FORMATS for suffix in entry.suffixes}
READ_ONLY = {".pgm": ".ppm"} | {
    suffix: entry.becomes for entry in FORMATS if entry.becomes for suffix in entry.suffixes
}
"""Suffixes of files that are not written, and the suffix their colorized copy gets in a folder."""


def sniff(head: bytes) -> Format | None:
    """The format of a file that starts with `head`; None if it is not an image."""
    return next((entry for entry in FORMATS if entry.matches(head)), None)


def suffix_of(head: bytes) -> str:
    """The suffix for the colorized copy of an image that starts with `head`; `.png` if it is not an image."""
    found = sniff(head)
    return (found.becomes or found.suffixes[0]) if found else ".png"


def known_suffixes() -> str:
    """The suffixes that can be written, for messages."""
    return ", ".join(sorted(suffix[1:] for suffix in SUFFIXES.keys() - READ_ONLY))


def colorized_name(name: Path) -> Path:
    """The name of the colorized copy of `name` in an output folder: the same unless that is not written."""
    return name.with_suffix(READ_ONLY.get(name.suffix.lower(), name.suffix))


def input_format(source: Path) -> Format:
    """The format of a file by its first bytes, whatever its suffix.

    Raises:
        InputError: it cannot be read, is empty, or is not an image.
    """
    try:
        with source.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        cause = f"cannot be read ({error.strerror})"
        raise InputError(source, cause, "check the file and its permissions") from error
    if not head:
        raise InputError(source, "the file is empty", "copy it again")
    found = sniff(head)
    if found and found.name == "TIFF" and source.suffix.lower() in RAW.suffixes:
        return RAW
    if found is None:
        raise InputError(source, "not an image in a supported format", "check what the file is")
    return found


def output_format(output: Path, subject: str | None = None) -> Format:
    """The format to write, by the suffix; `subject` is what an error is about if it is not `output`.

    Raises:
        UsageError: no format has this suffix, or its format cannot hold color or is only read.
    """
    suffix = output.suffix.lower()
    if suffix in READ_ONLY:
        cause = "cannot hold color" if suffix in (".pgm", ".gif") else "is only read, not written"
        raise UsageError(
            subject or output, f"{suffix[1:].upper()} {cause}", f"use {READ_ONLY[suffix][1:]} instead"
        )
    if suffix not in SUFFIXES:
        remedy = f"use one of {known_suffixes()}"
        raise UsageError(subject or output, "no picture format has this suffix", remedy)
    return SUFFIXES[suffix]
