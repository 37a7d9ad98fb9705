"""Metadata: all of it is kept, except what color makes wrong, which is listed here."""

import io
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from support.scenes import Colorize, scene

from colorcli.errors import RefusedError
from colorcli.images.metadata import icc
from colorcli.images.metadata.xmp import with_provenance
from colorcli.images.orientation import displayed, stored
from colorcli.models.provenance import DIGITAL_SOURCE_TYPE
from colorcli.networks.card import ModelCard
from colorcli.options import RunOptions

exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
DATA = Path(os.environ.get("COLORCLI_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))

ADDED = {"DigitalSourceType", "AISystemUsed", "AISystemVersionUsed"}
ABOUT_PIXELS = {
    # JPEG: the frame header, and nothing that a person or a camera has written.
    "YCbCrSubSampling", "ColorComponents",
    # PNG
    "ColorType", "BackgroundColor", "SignificantBits",
    # JPEG 2000
    "NumberOfComponents",
    "ThumbnailLength", "ThumbnailImage",
    # TIFF
    "BitsPerSample", "PhotometricInterpretation", "SamplesPerPixel", "StripOffsets", "RowsPerStrip",
    "StripByteCounts", "Compression", "Predictor", "PlanarConfiguration", "FillOrder", "SampleFormat",
}  # fmt: skip
WRITTEN = [
    "-EXIF:Make=Leica", "-EXIF:Artist=José", "-EXIF:DateTimeOriginal=1936:05:01 10:11:12",
    "-EXIF:Orientation#=6", "-EXIF:GPSLatitude=48.5", "-EXIF:GPSLatitudeRef=N", "-EXIF:ExposureTime=1/125",
    "-EXIF:UserComment=scan 7",
    "-XMP-dc:Title=A street", "-XMP-dc:Subject=street", "-XMP-dc:Subject=horse", "-XMP-xmpRights:Marked=True",
    "-XResolution=600", "-YResolution=600", "-ResolutionUnit=inches",
]  # fmt: skip
IPTC = ["-IPTC:Keywords=archive", "-IPTC:By-line=Unknown", "-IPTC:ObjectName=Street"]


def tags(path: Path) -> dict[str, Any]:
    """Every tag exiftool finds, by group and name, but for those about the file as such."""
    command = ["exiftool", "-json", "-G1:3", "-a", "-u", "-n", "-struct", str(path)]
    (found,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    outside = (
        "System:",
        "ExifTool:",
        "SourceFile",
        "File:Main:ExifByteOrder",
        "Composite:",
        "Jpeg2000:Main:ColorSpace",
    )
    return {name: value for name, value in found.items() if not name.startswith(outside)}


def write_tags(path: Path, *arguments: str) -> None:
    subprocess.run(["exiftool", "-q", "-overwrite_original", *arguments, str(path)], check=True)


def assert_kept(source: Path, output: Path) -> None:
    before, after = tags(source), tags(output)
    differing = {
        name.split(":")[-1] for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    }
    assert differing <= ADDED | ABOUT_PIXELS
    assert {name.split(":")[-1] for name in after} >= ADDED


def make(path: Path, pixels: np.ndarray) -> Path:
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="minisblack", metadata=None)
    else:
        options = {"lossless": True} if path.suffix == ".webp" else {}
        Image.fromarray(pixels).save(path, **options)
    return path


@exiftool
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".jp2"])
def test_written_tags_survive(suffix: str, tmp_path: Path, colorize: Colorize) -> None:
    source = make(tmp_path / f"in{suffix}", scene())
    plain = [tag for tag in WRITTEN if suffix != ".jp2" or tag.startswith("-XMP")]
    if suffix in (".webp", ".png"):
        plain = [tag for tag in plain if not tag.startswith(("-XRes", "-YRes", "-Resolution"))]
    write_tags(source, *plain, *(IPTC if suffix in (".jpg", ".tif") else []))
    colorize(source, tmp_path / f"out{suffix}")
    assert_kept(source, tmp_path / f"out{suffix}")


@exiftool
def test_camera_files_lose_nothing(tmp_path: Path, colorize: Colorize) -> None:
    folder = DATA / "photos" / "camera"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    for source in sorted(folder.iterdir()):
        colorize(source, tmp_path / source.name, recolor=True)
        assert_kept(source, tmp_path / source.name)


@exiftool
def test_every_page_keeps_its_tags(tmp_path: Path, colorize: Colorize) -> None:
    source = tmp_path / "in.tif"
    with tifffile.TiffWriter(source, byteorder=">") as file:
        for number in range(3):
            file.write(
                scene(40 + number, 50, 65535 if number else 255),
                photometric="minisblack",
                compression=["none", "lzw", "deflate"][number],
                resolution=(300 + number, 300),
                extratags=[(285, "s", 0, f"page {number}", True), (65000, "B", 3, b"own", True)],
                metadata=None,
            )
    colorize(source, tmp_path / "out.tif")
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(tmp_path / "out.tif") as after:
        assert len(after.pages) == 3
        assert after.byteorder == ">"
        for old, new in zip(before.pages, after.pages, strict=True):
            for code in (282, 285, 65000):
                assert new.tags[code].value == old.tags[code].value
            assert (new.compression, new.dtype) == (old.compression, old.dtype)
            assert new.shape == (*old.shape, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_one_turn_never_two(orientation: int, tmp_path: Path, colorize: Colorize) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    source = tmp_path / "in.jpg"
    Image.fromarray(scene(60, 90)).save(source, exif=exif)
    colorize(source, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as after:
        assert after.size == (90, 60)
        assert after.getexif()[274] == orientation


def test_turning_is_undone() -> None:
    picture = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for orientation in range(1, 9):
        assert (stored(displayed(picture, orientation), orientation) == picture).all()
    assert (displayed(picture, 6)[0] == np.rot90(picture[0], -1)).all()
    assert (displayed(picture, 8)[0] == np.rot90(picture[0])).all()


@pytest.mark.parametrize("connection", [b"XYZ ", b"Lab "])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_gray_profiles_become_rgb_ones_that_look_alike(
    connection: bytes, suffix: str, tmp_path: Path, colorize: Colorize
) -> None:
    profile = gray_profile(connection)
    source = tmp_path / f"in{suffix}"
    Image.fromarray(scene()).save(source, icc_profile=profile)
    colorize(source, tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as after:
        matching = after.info["icc_profile"]
    assert icc.color_space(matching) == "RGB"
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    as_gray, as_rgb = (
        rendered(image, given) for image, given in ((ramp, profile), (ramp.convert("RGB"), matching))
    )
    assert np.abs(as_gray - as_rgb).max() <= 1


def gray_profile(connection: bytes) -> bytes:
    """A GRAY-space profile of gamma 1.8, with tone curve in XYZ or Lab."""
    profile = bytearray(imagecodecs.cms_profile("gray", gamma=1.8))
    profile[20:24] = connection
    return bytes(profile)


def rendered(image: Image.Image, profile: bytes) -> np.ndarray:
    import io

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return np.asarray(shown, int)


def test_rgb_profiles_stay_and_broken_ones_go(tmp_path: Path, colorize: Colorize) -> None:
    for name, profile in {"sound": icc.srgb_profile(), "broken": b"not a profile at all" * 20}.items():
        Image.fromarray(scene()).save(tmp_path / f"{name}.jpg", icc_profile=profile)
        colorize(tmp_path / f"{name}.jpg", tmp_path / f"{name}-out.jpg")
        with Image.open(tmp_path / f"{name}-out.jpg") as after:
            assert after.info.get("icc_profile") == (profile if name == "sound" else None)


CARD = ModelCard(name="toy & co", version="1", architecture="toy")


def test_provenance_goes_into_the_packet_that_is_there() -> None:
    packet = with_provenance(None, CARD)
    theirs = packet.replace(b"</rdf:RDF>", b'<rdf:Description rdf:about="" x="1"/></rdf:RDF>')
    ours = with_provenance(theirs, CARD)
    assert ours.count(b"DigitalSourceType") == 1
    assert DIGITAL_SOURCE_TYPE.encode() in ours
    assert b'x="1"' in ours
    assert b"toy &amp; co" in ours
    assert with_provenance(b"\xff\xfe no packet", CARD) is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".jp2", ".avif"])
def test_provenance_can_be_left_out(suffix: str, tmp_path: Path, colorize: Colorize) -> None:
    source = make(tmp_path / f"in{suffix}", scene())
    for wanted in (True, False):
        colorize(source, tmp_path / f"{wanted}{suffix}", provenance=wanted)
        assert (DIGITAL_SOURCE_TYPE.encode() in (tmp_path / f"{wanted}{suffix}").read_bytes()) is wanted


def test_modification_time_is_kept_when_asked(tmp_path: Path, colorize: Colorize) -> None:
    source = make(tmp_path / "in.png", scene())
    os.utime(source, ns=(10**18, 10**18 + 123_456_789))
    for keep in (True, False):
        colorize(source, tmp_path / f"{keep}.png", options=RunOptions(preserve_times=keep))
        assert ((tmp_path / f"{keep}.png").stat().st_mtime_ns == source.stat().st_mtime_ns) is keep


def test_png_chunks_stay_in_order(tmp_path: Path, colorize: Colorize) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Title", "A street")
    info.add_itxt("Comment", "ein Gäßchen", lang="de")
    Image.fromarray(scene()).save(tmp_path / "in.png", pnginfo=info, dpi=(600, 300))
    colorize(tmp_path / "in.png", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as after:
        assert after.text["Title"] == "A street"  # type: ignore[attr-defined]
        assert after.text["Comment"] == "ein Gäßchen"  # type: ignore[attr-defined]
        assert [round(value) for value in after.info["dpi"]] == [600, 300]


@pytest.mark.parametrize("quality", [90, 1])
def test_exif_thumbnails_come_in_color_and_nothing_else_moves(
    quality: int, tmp_path: Path, colorize: Colorize
) -> None:
    """One that cannot be had in as few bytes as the old one is cut off, rather than left gray."""
    small = io.BytesIO()
    Image.fromarray(scene(48, 64)).save(small, "JPEG", quality=quality)
    exif = exif_with_thumbnail(small.getvalue())
    Image.fromarray(scene(96, 128)).save(tmp_path / "in.jpg", exif=b"Exif\0\0" + exif)
    colorize(tmp_path / "in.jpg", tmp_path / "out.jpg", saturation=3.0)
    with Image.open(tmp_path / "out.jpg") as image:
        after = image.info["exif"][6:]
    assert len(after) == len(exif)
    assert after[:22] == exif[:22], "the first directory"
    if quality == 1:
        assert after[22:26] == bytes(4)
        return
    start, size = struct.unpack_from("<I8xI", after, 36)
    assert after[start + size :].strip(b"\0") == b"end"
    with Image.open(io.BytesIO(after[start : start + size])) as thumbnail:
        assert thumbnail.size == (64, 48)
        assert np.ptp(np.asarray(thumbnail, int), axis=2).mean() > 4


def exif_with_thumbnail(thumbnail: bytes) -> bytes:
    """Two directories in little endian: one with an orientation, one with the thumbnail's offset and size."""
    first = struct.pack("<HHHIII", 1, 274, 3, 1, 1, 26)
    second = struct.pack("<HHHIIHHIII", 2, 513, 4, 1, 56, 514, 4, 1, len(thumbnail), 0)
    return b"II*\0" + struct.pack("<I", 8) + first + second + thumbnail + b"end"


def test_tiff_pyramids_are_written_in_color(tmp_path: Path, colorize: Colorize) -> None:
    base = scene(120, 160, 65535)
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        file.write(base, subifds=2, photometric="minisblack", tile=(64, 64))
        for step in (2, 4):
            file.write(base[::step, ::step], subfiletype=1, photometric="minisblack", compression="zlib")
        file.write(base[::-1], photometric="minisblack")
    colorize(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as after:
        assert len(after.pages) == 2
        page = after.pages[0].aspage()
        assert [level.aspage().shape for level in page.pages] == [(60, 80, 3), (30, 40, 3)]
        full = page.asarray().astype(int)
        for step, level in zip((2, 4), page.pages, strict=True):
            small = level.aspage()
            assert small.subfiletype == 1
            assert np.abs(small.asarray() @ [0.299, 0.587, 0.114] - base[::step, ::step]).max() <= 1
            assert np.abs(small.asarray() - full[::step, ::step]).mean() < 200, "the colors of the page"


def test_other_pictures_inside_a_tiff_page_are_refused(tmp_path: Path, colorize: Colorize) -> None:
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        file.write(scene(), subifds=1, photometric="minisblack")
        file.write(scene(), photometric="minisblack")
    with pytest.raises(RefusedError, match="SubIFD"):
        colorize(tmp_path / "in.tif", tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()
