"""Formats of pictures and film, told by suffix and by first bytes. Needs nothing but the standard library."""

from enum import StrEnum


class Format(StrEnum):
    JPEG = "jpeg"
    PNG = "png"
    TIFF = "tiff"
    WEBP = "webp"
    BMP = "bmp"
    JPEG2000 = "jpeg2000"
    AVIF = "avif"
    HEIC = "heic"


SUFFIXES = {
    ".jpg": Format.JPEG, ".jpeg": Format.JPEG, ".jpe": Format.JPEG, ".jfif": Format.JPEG, ".png": Format.PNG,
    ".tif": Format.TIFF, ".tiff": Format.TIFF, ".webp": Format.WEBP, ".bmp": Format.BMP,
    ".jp2": Format.JPEG2000, ".j2k": Format.JPEG2000, ".jpx": Format.JPEG2000, ".avif": Format.AVIF,
    ".heic": Format.HEIC, ".heif": Format.HEIC,
}  # fmt: skip

HEAD = 64
"""First bytes of a file that `sniff` wants to see."""
_ISO_BRANDS = {
    b"avif": Format.AVIF, b"avis": Format.AVIF,
    b"heic": Format.HEIC, b"heix": Format.HEIC, b"heim": Format.HEIC, b"mif1": Format.HEIC,
}  # fmt: skip


def sniff(head: bytes) -> Format | None:
    """The format of a file that begins with `head`; None for anything but a picture."""
    if head[:3] == b"\xff\xd8\xff":
        return Format.JPEG
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return Format.PNG
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return Format.TIFF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return Format.BMP
    if head[:12] == b"\0\0\0\x0cjP  \r\n\x87\n" or head[:4] == b"\xff\x4f\xff\x51":
        return Format.JPEG2000
    if head[4:8] == b"ftyp":
        return _iso_format(head)
    return None


def suffix_of(head: bytes) -> str:
    """A file name's suffix for a picture that begins with `head`; `.png` where it is none."""
    found = sniff(head)
    return next((suffix for suffix, kind in SUFFIXES.items() if kind is found), ".png")


def known_suffixes() -> str:
    """Those of pictures, for messages."""
    return ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))


def _iso_format(head: bytes) -> Format | None:
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)) - 3, 4))]
    # `mif1` says only that pictures are inside: a more telling brand may follow.
    known = [_ISO_BRANDS[brand] for brand in brands if brand in _ISO_BRANDS]
    return Format.AVIF if Format.AVIF in known else known[0] if known else None
