"""TIFFs that nobody here wrote: read right, or refused in true words; never damaged."""

import io
import struct
import subprocess
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.images import gray, load
from support.scenes import scene
from support.strange import (
    exif_value,
    exiftool,
    exiv2,
    tag_at,
    tiff,
    with_canon_note,
)  # fmt: skip

from colorcli.errors import InputError


@pytest.mark.parametrize("compression", [None, "lzw", "packbits", "deflate"])
@pytest.mark.parametrize("rows", [8, 40])
def test_strips_that_say_they_are_empty_are_read(compression: str | None, rows: int, colorized: Any) -> None:
    data = bytearray(tiff(scene(40, 50), rowsperstrip=rows, compression=compression))
    _, kind, count, value = struct.unpack_from("<HHII", data, tag_at(data, 279))
    size = {3: 2, 4: 4}[kind] * count
    where = value if size > 4 else tag_at(data, 279) + 8
    data[where : where + size] = bytes(size)
    output, _ = colorized(bytes(data), "in.tif")
    assert np.abs(gray(load(output)) - scene(40, 50).astype(int)).max() <= 1


def test_a_broken_link_ends_the_pages_with_a_note(colorized: Any) -> None:
    (own,) = struct.unpack_from("<I", tiff(scene(40, 50)), 4)
    for wrong in (0x7FFFFF00, 12, own):
        data = bytearray(tiff(scene(40, 50)))
        (start,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, start)
        struct.pack_into("<I", data, start + 2 + 12 * count, wrong)
        output, notes = colorized(bytes(data), "in.tif")
        with tifffile.TiffFile(output) as file:
            assert len(file.pages) == 1
        assert notes == ["the link after page 1 is broken: what may follow is left out"]


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_fax_with_faulty_codes_is_read_as_libtiff_reads_it(compression: str, colorized: Any) -> None:
    target = io.BytesIO()
    Image.fromarray(scene(80, 96) > 120).save(target, "TIFF", compression=compression)
    data = bytearray(target.getvalue())
    (start,) = struct.unpack_from("<I", data, tag_at(data, 273) + 8)
    data[start + 150 : start + 153] = b"\xff\x07\0"
    output, _ = colorized(bytes(data), "in.tif")
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)
    assert np.abs(gray(load(output)) - expected).max() <= 1


def test_strips_with_rows_too_many_are_read(colorized: Any) -> None:
    for rows in (16, 40):
        data = bytearray(tiff(scene(40, 50), rowsperstrip=rows, compression="deflate"))
        struct.pack_into("<I", data, tag_at(data, 257) + 8, 36)
        output, _ = colorized(bytes(data), "in.tif")
        assert np.abs(gray(load(output)) - scene(40, 50)[:36].astype(int)).max() <= 1
        data[-3] ^= 1  # of the checksum of the last strip
        with pytest.raises(InputError, match="damaged TIFF"):
            colorized(bytes(data), "in.tif")


@exiftool
def test_iptc_among_the_resources_of_photoshop_goes_along(colorized: Any) -> None:
    records = b"\x1c\2\x69\0\x08Headline"
    block = b"PHUT" + struct.pack(">HHI", 1028, 0, len(records)) + records + b"\0"
    data = tiff(scene(40, 50), extratags=[(34377, 7, len(block), block, True)])
    output, _ = colorized(data, "in.tif", "out.jpg")
    assert exif_value(output, "IPTC:Headline") == b"Headline"


@pytest.mark.parametrize(("kind", "count"), [(0, 0), (0, 1), (99, 0), (99, 3)])
def test_a_tag_of_unknown_type_is_left_out(kind: int, count: int, colorized: Any) -> None:
    data = bytearray(tiff(scene(40, 50), extratags=[(65000, 4, 1, 7, True)]))
    struct.pack_into("<HHI", data, tag_at(data, 65000), 65000, kind, count)
    output, _ = colorized(bytes(data), "in.tif")
    assert np.abs(gray(load(output)) - scene(40, 50).astype(int)).max() <= 1


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_tiff_palettes_of_any_depth_are_looked_up(bits: int, colorized: Any) -> None:
    shades = np.linspace(60000, 2000, 1 << bits).astype(np.uint16)
    indices = scene(40, 56) >> (8 - bits)
    packed = np.packbits(np.unpackbits(indices[:, :, None], axis=2)[:, :, 8 - bits :].reshape(40, -1), axis=1)
    data = bytearray(tiff(packed, extratags=[(320, 3, 3 << bits, tuple(np.tile(shades, 3)), True)]))
    for code, value in ((256, 56), (258, bits), (262, 3)):
        struct.pack_into("<I", data, tag_at(data, code) + 8, value)
    output, _ = colorized(bytes(data), "in.tif")
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)
    assert np.abs(gray(load(output)) - expected).max() <= 1


def test_photoshop_layers_are_left_out_with_a_note(colorized: Any) -> None:
    data = tiff(
        scene(40, 50),
        extratags=[(37724, 7, 5000, b"Adobe Photoshop Document Data Block\0".ljust(5000), True)],
    )
    output, notes = colorized(data, "in.tif")
    with tifffile.TiffFile(output) as file:
        assert 37724 not in file.pages[0].aspage().tags
    assert any("layers" in note for note in notes)


@exiftool
@exiv2
@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_a_maker_note_still_finds_its_values(suffix: str, colorized: Any) -> None:
    data = with_canon_note(scene(60, 80))
    if suffix == "jpg":  # the same bytes as Exif block of a JPEG that becomes a TIFF
        image = io.BytesIO()
        Image.fromarray(scene(60, 80)).save(image, "JPEG", quality=100, exif=b"Exif\0\0" + data)
        data = image.getvalue()
    output, _ = colorized(data, f"in.{suffix}", "out.tif")
    assert exif_value(output, "OwnerName") == b"OWNER-FIELD-0001"
    listed = subprocess.run(["exiv2", "-pa", str(output)], capture_output=True, check=False).stdout
    assert b"OWNER-FIELD-0001" in listed
    assert np.abs(gray(load(output)) - scene(60, 80).astype(int)).max() <= 9  # of a JPEG, perhaps


@exiftool
def test_a_nikon_preview_outside_of_its_note_is_kept(colorized: Any) -> None:
    preview = b"\xff\xd8\xff\xdb" + bytes(range(256)) * 40 + b"\xff\xd9"
    data = tiff(scene(60, 80), extratags=[(271, 2, 6, "NIKON", True), (65000, 4, 1, 0, True)])
    exif = len(data) + len(data) % 2
    note = exif + 2 + 12 + 4
    inner = note + 10  # offsets count from here
    preview_directory = 8 + 2 + 12 + 4
    outside = preview_directory + 2 + 24 + 4 + 100
    block = b"Nikon\0\2\x10\0\0" + b"II*\0" + struct.pack("<I", 8)
    block += struct.pack("<HHHII", 1, 0x11, 4, 1, preview_directory) + bytes(4)
    block += struct.pack("<H", 2) + struct.pack("<HHII", 0x201, 4, 1, outside)
    block += struct.pack("<HHII", 0x202, 4, 1, len(preview)) + bytes(4)
    result = bytearray(data.ljust(exif, b"\0"))
    result += struct.pack("<HHHII", 1, 37500, 7, len(block), note) + bytes(4) + block
    result = result.ljust(inner + outside, b"\0") + preview
    struct.pack_into("<HHII", result, tag_at(data, 65000), 34665, 4, 1, exif)
    output, _ = colorized(bytes(result), "in.tif")
    assert exif_value(output.parent.parent / "in.tif", "PreviewImage") == preview
    assert exif_value(output, "PreviewImage") == preview
    assert np.abs(gray(load(output)) - scene(60, 80).astype(int)).max() <= 1
