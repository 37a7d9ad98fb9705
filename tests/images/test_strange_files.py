"""Files that nobody here wrote: read right, or refused in true words; never damaged."""

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.broken import encoded
from support.images import gray, load
from support.scenes import scene
from support.strange import (
    EXIF,
    GRAY,
    PACKETS,
    SRGB,
    box,
    chunk,
    exif_value,
    exif_values,
    exiftool,
    inserted,
    jp2,
    jpeg,
    png,
    raw_profile,
    tiff,
)  # fmt: skip

from colorcli.errors import InputError
from colorcli.images.metadata import icc

# JPEG 2000


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", ["j2k", "jp2"])
def test_jpeg2000_of_9_to_15_bits_keeps_its_gray(
    bits: int, channels: int, suffix: str, colorized: Any
) -> None:
    samples = scene(40, 50, 65535) >> (16 - bits)
    pixels = samples if channels == 1 else np.stack([samples] * 3, axis=2)
    data = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat=suffix, bitspersample=bits, reversible=True)
    output, _ = colorized(bytes(data), f"in.{suffix}")
    after = gray(imagecodecs.jpeg2k_decode(output.read_bytes())) / 65535
    assert np.abs(after - samples / ((1 << bits) - 1)).max() < 1 / 255


@pytest.mark.parametrize(("bits", "columns"), [(1, 1), (4, 1), (8, 1), (4, 3)])
def test_jpeg2000_palettes_are_looked_up(bits: int, columns: int, colorized: Any) -> None:
    indices = scene(40, 50) >> (8 - bits)
    stream = imagecodecs.jpeg2k_encode(
        indices, level=0, codecformat="j2k", bitspersample=bits, reversible=True
    )
    shades = np.linspace(250, 5, 1 << bits).round().astype(np.uint8)
    table = np.repeat(shades[:, None], columns, 1)
    palette = struct.pack(">HB", len(shades), columns) + b"\7" * columns + table.tobytes()
    mapping = b"".join(struct.pack(">HBB", 0, 1, column) for column in range(columns))
    data = jp2(
        bytes(stream),
        indices.shape,
        1,
        GRAY if columns == 1 else SRGB,
        box(b"pclr", palette),
        box(b"cmap", mapping),
    )
    output, _ = colorized(data, "in.jp2")
    assert np.abs(gray(load(output)) - shades[indices].astype(int)).max() <= 1


@pytest.mark.parametrize("space", ["RGB", "GRAY"])
@pytest.mark.parametrize("method", [2, 3])
def test_a_jp2_profile_by_any_method_is_kept(space: str, method: int, colorized: Any) -> None:
    pixels = scene(40, 50) if space == "GRAY" else np.stack([scene(40, 50)] * 3, axis=2)
    stream = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True)
    profile = icc.srgb_profile() if space == "RGB" else bytes(imagecodecs.cms_profile("gray", gamma=2.2))
    data = jp2(
        bytes(stream), (40, 50), 3 if space == "RGB" else 1, box(b"colr", bytes((method, 0, 0)) + profile)
    )
    output, _ = colorized(data, "in.jp2")
    after = output.read_bytes()
    assert b"colr%c\0\0%b" % (method, profile) in after if space == "RGB" else b"colr\2\0\0" in after
    shown = gray(imagecodecs.jpeg2k_decode(after[after.index(b"\xff\x4f\xff\x51") :]))
    assert np.abs(shown - scene(40, 50).astype(int)).max() <= 1


def test_subsampled_jpeg2000_is_named(colorized: Any) -> None:
    data = bytearray(imagecodecs.jpeg2k_encode(np.stack([scene(40, 50)] * 3, axis=2), codecformat="j2k"))
    at = data.index(b"\xff\x51") + 2 + 38
    data[at + 3 + 1 : at + 3 + 3] = b"\2\2"
    with pytest.raises(InputError, match="subsampled components, which is not read"):
        colorized(bytes(data), "in.j2k")


# JPEG


def luma(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


KINDS = {
    "gray": {}, "ycbcr": {"kind": "color"}, "progressive": {"progressive": True},
    "ycbcr progressive": {"kind": "color", "progressive": True},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trailer", [b"", bytes(2500), b"\xff" * 90, b"a scanner's own words, " * 40],
    ids=["nothing", "zeros", "ones", "words"])  # fmt: skip
def test_a_missing_end_marker_is_added(kind: str, trailer: bytes, colorized: Any) -> None:
    whole = jpeg(**KINDS[kind])
    output, notes = colorized(whole[:-2] + trailer, "in.jpg")
    assert np.abs(luma(output.read_bytes()).astype(int) - luma(whole)).max() <= 1
    assert output.read_bytes().endswith(b"\xff\xd9" + trailer)
    assert any("end marker" in note for note in notes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.6, 0.8, 0.97])
@pytest.mark.parametrize("trailer", [b"", bytes(2500)])
def test_a_jpeg_that_lacks_coefficients_is_truncated(
    kind: str, part: float, trailer: bytes, colorized: Any
) -> None:
    whole = jpeg(**KINDS[kind])
    with pytest.raises(InputError, match="truncated"):
        colorized(whole[: int(part * len(whole))] + trailer, "in.jpg")


@pytest.mark.parametrize("stray", [b"\0" * 3, b"\xff\0\0\2", b"\0\x0eAdobe\0d\x80\0\0\0\0", b"\x12"])
def test_stray_bytes_between_segments_are_skipped(stray: bytes, colorized: Any) -> None:
    data = jpeg()
    at = data.index(b"\xff\xdb")
    output, _ = colorized(data[:at] + stray + data[at:], "in.jpg")
    assert np.abs(luma(output.read_bytes()).astype(int) - luma(data)).max() <= 1


FOREIGN = {
    "a second JPEG": jpeg(),
    "its scan": jpeg()[jpeg().index(b"\xff\xda") :],
    "its frame": jpeg()[jpeg().index(b"\xff\xc0") :],
    "a reserved marker": b"\xff\x01\0\x08" + bytes(6) + b"\xff\xd9",
    "an empty start of scan": b"\xff\xda\0\2\xff\xd9",
    "a scan of no component": b"\xff\xda\0\x08\1\xff\xff\0\x3f\0\1\xff\xd9",
}


@pytest.mark.parametrize("part", FOREIGN)
def test_a_jpeg_that_runs_into_something_else_is_damaged(part: str, colorized: Any) -> None:
    with pytest.raises(InputError, match="damaged JPEG"):
        colorized(jpeg()[:-2] + FOREIGN[part], "in.jpg")


def test_a_jpeg_without_its_last_scans_is_noted(colorized: Any) -> None:
    whole = jpeg(progressive=True)
    short = whole[: whole.rindex(b"\xff\xda")]
    short = short[: short.rindex(b"\xff\xc4")] + b"\xff\xd9"
    output, notes = colorized(short, "in.jpg")
    assert np.abs(luma(output.read_bytes()).astype(int) - luma(short)).max() <= 1
    assert any("last scans" in note for note in notes)


def test_the_size_is_found_behind_a_megabyte_of_segments(colorized: Any) -> None:
    data = inserted(jpeg(), *[(0xEB, bytes(65000))] * 20)
    output, _ = colorized(data, "in.jpg")
    assert np.abs(luma(output.read_bytes()).astype(int) - luma(data)).max() <= 1


@pytest.mark.parametrize(("options", "words"), [
    ({"bitspersample": 12}, "a JPEG of 12 bits, which is not read"),
    ({"lossless": True}, "a lossless JPEG, which is not read"), ({}, "a JPEG-LS, which is not read"),
])  # fmt: skip
def test_other_processes_of_jpeg_are_named(options: dict[str, Any], words: str, colorized: Any) -> None:
    pixels = scene(40, 50, 65535) >> 4 if "bitspersample" in options else scene(40, 50)
    data = imagecodecs.jpegls_encode(pixels) if not options else imagecodecs.jpeg8_encode(pixels, **options)
    with pytest.raises(InputError, match=words) as caught:
        colorized(bytes(data), "in.jpg")
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(("marker", "name"), [
    (0xED, b"Photoshop 3.0\0"), (0xE2, b"ICC_PROFILE\0"), (0xE1, b"http://ns.adobe.com/xmp/extension/\0"),
])  # fmt: skip
def test_parts_of_one_block_stay_side_by_side(marker: int, name: bytes, colorized: Any) -> None:
    first, second = name + b"\1\2one" + bytes(60000), name + b"\2\2two" + bytes(600)
    for after in ((), ((0xE0, b"JFXX\0\0"),), ((0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),)):
        data = inserted(jpeg(), (marker, first), (marker, second), *after)
        output, _ = colorized(data, "in.jpg")
        result = output.read_bytes()
        if name != b"ICC_PROFILE\0":  # a profile of zeros is no profile
            assert result.index(second) == result.index(first) + len(first) + 4


def test_the_index_of_further_images_points_at_them(colorized: Any) -> None:
    first, second = jpeg(), encoded("jpeg", scene(30, 40))
    entries = 8 + 2 + 12 + 4
    body = b"MPF\0II*\0" + struct.pack("<I", 8) + struct.pack("<HHHII", 1, 0xB002, 7, 32, entries) + bytes(4)
    at = 2 + 4 + 4
    size = len(first) + 4 + len(body) + 32
    for index in ((0x30000, size, 0, 0), (0, len(second), size - at, 0)):
        body += struct.pack("<IIII", *index)
    source = inserted(first, (0xE2, body)) + second
    output, _ = colorized(source, "in.jpg")
    after = output.read_bytes()
    base = after.index(b"MPF\0") + 4
    table = [struct.unpack_from("<IIII", after, base + entries + 16 * entry) for entry in (0, 1)]
    assert after[base + table[1][2] :][: table[1][1]] == second
    assert table[0][1] == base + table[1][2]


# XMP


@exiftool
@pytest.mark.parametrize("kind", PACKETS)
@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
def test_xmp_in_any_encoding_is_extended_not_replaced(kind: str, suffix: str, colorized: Any) -> None:
    xmp = PACKETS[kind]
    match suffix:
        case "jpg":
            data = inserted(jpeg(), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp))
        case "tif":
            data = tiff(scene(60, 80), extratags=[(700, 1, len(xmp), xmp, True)])
        case _:
            data = png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    output, _ = colorized(data, f"in.{suffix}")
    source = output.parent.parent / output.name
    before, after = exif_values(source, output, tags=("XMP-dc:Title", "XMP-dc:Subject", "AISystemUsed"))
    assert after.pop("AISystemUsed").startswith("colorcli ")
    assert after.keys() == {"Title", "Subject"}
    assert after.items() <= before.items()
    assert output.read_bytes().count("another".encode("utf-16-le")) == 0


def test_what_is_no_xmp_is_kept_with_a_note(colorized: Any) -> None:
    data = inserted(jpeg(), (0xE1, b"http://ns.adobe.com/xap/1.0/\0no XMP at all"))
    output, notes = colorized(data, "in.jpg")
    assert b"no XMP at all" in output.read_bytes()
    assert any("XMP" in note for note in notes)


# PNG


def test_a_damaged_ancillary_chunk_is_left_out(colorized: Any) -> None:
    text = b"\0\0\0\x0ftEXtComment\0damaged" + b"\1\2\3\4"
    output, notes = colorized(png(text), "in.png")
    assert b"damaged" not in output.read_bytes()
    assert np.abs(gray(load(output)) - scene(60, 80).astype(int)).max() <= 1
    assert notes == ["a damaged tEXt chunk is left out"]


def test_a_png_without_its_last_chunk_is_read(colorized: Any) -> None:
    for filling in (b"", bytes(500)):
        output, notes = colorized(png(end=False) + filling, "in.png")
        assert np.abs(gray(load(output)) - scene(60, 80).astype(int)).max() <= 1
        assert notes == ["its last chunk, IEND, is missing: added"]
    with pytest.raises(InputError, match="truncated"):
        colorized(png(end=False)[:-30], "cut.png")


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_a_damaged_critical_chunk_is_an_error(kind: bytes, colorized: Any) -> None:
    data = bytearray(png())
    at = data.index(kind)
    data[at + 4 + int.from_bytes(data[at - 4 : at], "big")] ^= 1
    with pytest.raises(InputError, match=f"checksum of {kind.decode()}"):
        colorized(bytes(data), "in.png")


def test_of_a_transparent_shade_its_lowest_bits_count(colorized: Any) -> None:
    target = io.BytesIO()
    Image.fromarray(scene(40, 50) > 120).save(target, "PNG", bits=1)
    data = target.getvalue()
    output, _ = colorized(data[:33] + chunk(b"tRNS", b"\0\xff") + data[33:], "in.png")
    assert (np.asarray(Image.open(output))[:, :, 3] == np.where(scene(40, 50) > 120, 0, 255)).all()


def test_the_scale_of_a_png_is_kept(colorized: Any) -> None:
    scale = chunk(b"sCAL", b"\x010.5\x000.5")
    output, _ = colorized(png(scale), "in.png")
    assert scale in output.read_bytes()


IN_CHUNKS = {
    "raw exif": (raw_profile(b"exif", b"Exif\0\0" + EXIF), "Artist", "Nobody"),
    "raw APP1": (raw_profile(b"APP1", b"Exif\0\0" + EXIF), "Artist", "Nobody"),
    "eXIf with a mark": (chunk(b"eXIf", b"Exif\0\0" + EXIF), "Artist", "Nobody"),
    "raw XMP": (raw_profile(b"xmp", PACKETS["UTF-8"]), "XMP-dc:Subject", "M\u00fchle"),
    "packed XMP": (
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(PACKETS["UTF-8"])),
        "XMP-dc:Subject",
        "M\u00fchle",
    ),
}


@exiftool
@pytest.mark.parametrize("target", ["out.png", "out.tif"])
@pytest.mark.parametrize("kind", IN_CHUNKS)
def test_metadata_in_any_chunk_of_a_png_goes_along(kind: str, target: str, colorized: Any) -> None:
    extra, tag, value = IN_CHUNKS[kind]
    output, notes = colorized(png(extra), "in.png", target)
    assert exif_value(output, tag).decode() == value
    assert not notes


def test_what_only_its_own_format_holds_is_named(colorized: Any) -> None:
    data = inserted(jpeg(), (0xFE, b"a comment")) + b"another image"
    _, notes = colorized(data, "in.jpg", "out.png")
    assert notes == [
        "left out of the PNG: its comments",
        "left out of the PNG: what follows the image in its file, as further images",
    ]
    assert not colorized(data, "in.jpg")[1]
    _, notes = colorized(png(chunk(b"tEXt", b"Title\0a title")), "in.png", "out.jpg")
    assert notes == ["left out of the JPEG: its texts (Title)"]


# BMP, AVIF, HEIC


def test_bmp_keeps_its_alpha(colorized: Any) -> None:
    rgba = np.stack([scene(40, 50)] * 3 + [scene(40, 50)[::-1]], axis=2)
    first, _ = colorized(encoded("png", rgba), "in.png", "out.bmp")
    second, _ = colorized(first.read_bytes(), "again.bmp", recolor=True)
    for path in (first, second):
        image = Image.open(path)
        assert image.mode == "RGBA"
        assert (np.asarray(image)[:, :, 3] == rgba[:, :, 3]).all()
