"""An image's output against its input, by Pillow, tifffile, LibRaw, PDFium, exiftool, exiv2 and others."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from subprocess import PIPE
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageFile

TAGS = (
    "EXIF:all", "IPTC:all", "XMP-dc:all", "MakerNotes:all", "ICC_Profile:ProfileDescription", "PNG:all",
    "Comment",
)  # fmt: skip
CHANGING = {
    "ImageWidth", "ImageHeight", "BitsPerSample", "Compression", "PhotometricInterpretation",
    "StripOffsets", "SamplesPerPixel", "RowsPerStrip", "StripByteCounts", "PlanarConfiguration",
    "Predictor", "ExtraSamples", "ThumbnailOffset", "ThumbnailLength", "ThumbnailImage", "ColorType",
    "BitDepth", "Palette", "Transparency", "TileWidth", "TileLength", "TileOffsets", "TileByteCounts",
    "SubfileType", "FillOrder", "T4Options", "T6Options", "ColorMap", "Filter", "Interlace",
    "SignificantBits", "BackgroundColor", "OtherImageStart", "OtherImageLength", "JPEGTables",
    "YCbCrSubSampling", "YCbCrPositioning", "ProfileDescription", "SampleFormat", "PreviewImageStart",
    "MinSampleValue", "MaxSampleValue", "ReferenceBlackWhite", "YCbCrCoefficients", "OldSubfileType",
    "WhitePoint", "PrimaryChromaticities", "Warning", "CurrentIPTCDigest", "JpgFromRaw",
    "ApplicationNotes", "SMinSampleValue", "SMaxSampleValue", "InkSet", "PreviewImage", "PreviewImageLength",
    "PNG:ModifyDate", "PNG:PixelCalibration", "ProfileName", "ThumbnailTIFF",
    "AnimationFrames", "AnimationPlays", "ImageSourceData",
}  # fmt: skip
"""Tags that describe the coding of the pixels, or that a new coding must bring. PNG calls its own date unsafe
to copy, and exiftool calls the pixels of a TIFF in JPEG a preview."""
OF_EXIFTOOL = ("File:", "ExifTool:", "Composite:")
OLD_JPEG = re.compile(r"JPEG(Proc|RestartInterval|QTables|DCTables|ACTables)|OtherImage")
JPEG_SUFFIXES = (".jpg", ".jpeg")
RAW_SUFFIXES = (".dng", ".nef", ".arw", ".cr2", ".cr3", ".orf", ".rw2", ".raf", ".pef", ".srw")
STANDARD_GROUP = re.compile(r"Exif\.(Image\d*|Photo|GPSInfo|Iop|Thumbnail|Sub(Image|Thumb)\d*|MakerNote)\.")
"""What exiv2 finds outside of maker notes."""
GRAY = np.array([0.299, 0.587, 0.114])
Image.MAX_IMAGE_PIXELS = None


def check_image(source: Path, output: Path, *, copied: bool) -> Iterator[str]:
    """What is wrong with the output, in words; nothing if all is right."""
    if copied and source.suffix == output.suffix:
        if source.read_bytes() != output.read_bytes():
            yield "copied, but not byte for byte"
        return
    before, after = _pages(source), _pages(output)
    if len(before) != len(after):
        yield f"{len(before)} pages became {len(after)}"
    for number, (old, new) in enumerate(zip(before, after, strict=False), start=1):
        for fault in _page_faults(old, new, *_tolerance(source)):
            yield f"page {number}: {fault}"
    yield from _metadata_faults(source, output)
    yield from _maker_note_faults(source, output)
    yield from _image_faults(source, output)
    yield from _coding_faults(source, output)


def _tolerance(source: Path) -> tuple[float, float]:
    """Code values of 255 that gray may move by, and the share of pixels that may move farther.

    Readers convert CMYK each in its own way, and decoders of JPEG clip each in its own way.
    """
    if source.suffix.lower() not in JPEG_SUFFIXES:
        return 1.51, 0
    with Image.open(source) as image:
        return (2.51, 0) if image.mode == "CMYK" else (1.51, 1e-4)


def _page_faults(old: NDArray[Any], new: NDArray[Any], apart_by: float, allowed: float) -> Iterator[str]:
    if old.shape[:2] != new.shape[:2]:
        yield f"size {old.shape[1]}x{old.shape[0]} became {new.shape[1]}x{new.shape[0]}"
        return
    if new.dtype.itemsize < old.dtype.itemsize:
        yield f"{8 * old.dtype.itemsize} bits became {8 * new.dtype.itemsize}"
    peak_old, peak_new = (float(np.iinfo(page.dtype).max) for page in (old, new))
    gray_old, gray_new = _gray(old) * (peak_new / peak_old), _gray(new)
    apart = np.abs(gray_old - gray_new)
    share = float((apart > apart_by * max(1, peak_new / peak_old)).mean())
    if share > allowed:
        yield f"gray moves: {apart.max():.1f} of {peak_new:.0f} at most, {apart.mean():.2f} in the mean"
    alpha_old, alpha_new = (page[..., -1] if page.shape[2] in (2, 4) else None for page in (old, new))
    if alpha_old is not None and (alpha_old != peak_old).any():
        if alpha_new is None:
            yield "alpha is gone"
        elif np.abs(alpha_old / peak_old - alpha_new / peak_new).max() > 1 / 255:
            yield "alpha differs"


def _gray(page: NDArray[Any]) -> NDArray[np.float64]:
    return page[..., 0].astype(np.float64) if page.shape[2] < 3 else page[..., :3] @ GRAY


def _pages(path: Path) -> list[NDArray[Any]]:
    """Every page as [H, W, C] of 8 or 16 bits."""
    head = path.read_bytes()[:12]
    if path.suffix.lower() in RAW_SUFFIXES:
        return [_developed(path)]
    if head[:5] == b"%PDF-":
        return _sheets(path)
    if head[:2] == b"\xff\x0a" or head[4:8] == b"JXL ":
        return [_stacked(imagecodecs.jpegxl_decode(path.read_bytes()))]
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return [_tiff_page(path, number) for number in range(_tiff_count(path))]
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return [_stacked(imagecodecs.png_decode(path.read_bytes()))]
    if head[:4] == b"\xff\x4f\xff\x51" or head[4:8] == b"jP  ":
        return [_jpeg2000(path.read_bytes())]
    if head[:1] == b"P" and head[1:2] in b"123456":
        return [_netpbm(path)]
    if head[4:8] == b"ftyp":
        import pillow_heif

        pillow_heif.register_heif_opener()
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # the input may be cut; the output is decoded by libjpeg below
    with Image.open(path) as image:
        if image.mode in ("I;16", "I;16B", "I;16L", "I"):
            return [np.asarray(image).astype(np.uint16)[:, :, None]]
        return [_in_known_mode(image)]


def _developed(path: Path) -> NDArray[Any]:
    import rawpy

    with rawpy.imread(str(path)) as raw:
        return _stacked(
            raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16, gamma=(2.4, 12.92))
        )


def _jpeg2000(data: bytes) -> NDArray[Any]:
    at = data.find(b"\xff\x4f\xff\x51")
    if b"pclr" not in data[:at] and (b"colr\2" in data[:at] or b"colr\3" in data[:at]):
        data = data[at:]  # or the decoder would apply the profile
    return _stretched(_stacked(imagecodecs.jpeg2k_decode(data)), _jp2_bits(data))


def _netpbm(path: Path) -> NDArray[Any]:
    """By Pillow, which reads color with 8 bits; by OpenCV, which does not look at the brightest value."""
    data = path.read_bytes()
    numbers = re.findall(rb"\d+", re.sub(rb"#[^\n]*", b"", data[2:200]))
    if data[1:2] == b"6" and int(numbers[2]) == 65535:
        return _stacked(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))[:, :, ::-1]
    with Image.open(path) as image:
        deep = image.mode.startswith("I")
        return np.asarray(image).astype(np.uint16)[:, :, None] if deep else _in_known_mode(image)


def _sheets(path: Path) -> list[NDArray[Any]]:
    import pypdfium2

    document = pypdfium2.PdfDocument(path)
    sheets = [np.asarray(sheet.render(scale=2).to_pil().convert("RGB")) for sheet in document]
    document.close()
    return sheets


def _tiff_count(path: Path) -> int:
    with tifffile.TiffFile(path) as file:
        return len(file.pages)


def _tiff_page(path: Path, number: int) -> NDArray[Any]:
    """Gray and RGB as libtiff and tifffile give them, before anything is turned; the rest as Pillow does."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[number].aspage()
        if page.photometric in (0, 1, 2) and page.compression not in (6, 7):
            return _plain_tiff_page(path, number, page)
    with Image.open(path) as image:
        image.seek(number)
        return _in_known_mode(image)


def _plain_tiff_page(path: Path, number: int, page: tifffile.TiffPage) -> NDArray[Any]:
    try:
        pixels = np.asarray(imagecodecs.tiff_decode(path.read_bytes(), index=number))
    except (imagecodecs.TiffError, IndexError):
        with suppress(OSError), Image.open(path) as image:
            image.seek(number)
            return _in_known_mode(image)
        pixels = page.asarray()
    if page.planarconfig == 2 and pixels.ndim == 3 and pixels.shape[0] == page.samplesperpixel:
        pixels = pixels.transpose(1, 2, 0)
    pixels = _stretched(
        _stacked(pixels.astype(np.uint8) if pixels.dtype == bool else pixels), page.bitspersample
    )
    return np.iinfo(pixels.dtype).max - pixels if page.photometric == 0 else pixels


def _in_known_mode(image: Image.Image) -> NDArray[Any]:
    """Gray or RGB, with or without alpha."""
    gray = {"1": "L", "La": "LA", "L": "L", "LA": "LA"}
    mode = gray.get(image.mode) or ("RGBA" if "A" in image.mode else "RGB")
    return _stacked(np.asarray(image.convert(mode)))


def _stretched(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Samples of fewer bits than their type has, over its whole range."""
    full = 8 * pixels.dtype.itemsize
    if bits >= full:
        return pixels
    return (pixels.astype(np.uint64) * ((1 << full) - 1) // ((1 << bits) - 1)).astype(pixels.dtype)


def _jp2_bits(data: bytes) -> int:
    """Bits per sample of the first component, from the palette or the SIZ marker of the code stream."""
    palette = data.find(b"pclr", 0, data.find(b"jp2c"))
    if palette >= 0:
        return (data[palette + 7] & 127) + 1
    at = data.find(b"\xff\x4f\xff\x51")
    return (data[at + 42] & 127) + 1


def _stacked(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _metadata_faults(source: Path, output: Path) -> Iterator[str]:
    old, new = _exiftool(source), _exiftool(output)
    # In HEIC the container turns the picture, and Exif repeats it: written upright, both are gone.
    changing = CHANGING | ({"Orientation"} if source.suffix.lower() in (".heic", ".heif") else set())
    for name, value in old.items():
        tag = name.rpartition(":")[2]
        if (
            changing & {name, tag}
            or OLD_JPEG.match(tag)
            or name.startswith(("File:", "ExifTool:", "Composite:"))
        ):
            continue
        if name not in new:
            # exiftool adds the language to the name of a text from the second file on.
            elsewhere = [other for other in new if re.sub("-..$", "", other.rpartition(":")[2]) == tag]
            if not elsewhere:
                yield f"{name} is gone"
        elif new[name] != value and tag not in ("XMPToolkit", "DigitalSourceType"):
            yield f"{name} was {value!r:.40}, is {new[name]!r:.40}"


def _exiftool(path: Path) -> dict[str, Any]:
    tags = _ask_exiftool("-json", "-G1", "-a", "-n", *(f"-{tag}" for tag in TAGS), str(path))
    facts: dict[str, Any] = json.loads(tags or b"[{}]")[0]
    facts.pop("SourceFile", None)
    return facts


def _ask_exiftool(*arguments: str) -> bytes:
    """What exiftool prints; nothing if it is not installed. One process answers all: it starts slowly."""
    exiftool = _started_exiftool()
    if exiftool is None or exiftool.stdin is None or exiftool.stdout is None:
        return b""
    # With #[CSTR] an argument is read as a string of C, which may hold a line break.
    lines = ("#[CSTR]" + argument.replace("\\", r"\\").replace("\n", r"\n") for argument in arguments)
    exiftool.stdin.write(os.fsencode("\n".join((*lines, "-execute", ""))))
    exiftool.stdin.flush()
    answer = bytearray()
    while not answer.endswith(b"{ready}\n"):
        answer += exiftool.stdout.readline()
    return bytes(answer[: -len(b"{ready}\n")])


@cache
def _started_exiftool() -> subprocess.Popen[bytes] | None:
    if shutil.which("exiftool") is None:
        return None
    command = ["exiftool", "-stay_open", "True", "-@", "-"]
    return subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL)


def _maker_note_faults(source: Path, output: Path) -> Iterator[str]:
    """By exiv2, which mends no offsets."""
    old, new = _exiv2(source), _exiv2(output)
    for name, value in old.items():
        if new.get(name) != value:
            yield f"exiv2: {name} was {value!r:.40}, is {new.get(name)!r:.40}"


def _exiv2(path: Path) -> dict[str, str]:
    if shutil.which("exiv2") is None:
        return {}
    command = ["exiv2", "-q", "-Pkv", "-g", "^Exif\\.", str(path)]
    lines = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.splitlines()
    fields = dict(line.split(None, 1) if " " in line.strip() else (line.strip(), "") for line in lines)
    return {name: value for name, value in fields.items() if not STANDARD_GROUP.match(name)}


def _image_faults(source: Path, output: Path) -> Iterator[str]:
    """Images inside of images: previews and the second of several."""
    for name in ("MPImage2", "MakerNotes:PreviewImage"):
        if name.startswith("MP") and output.suffix.lower() not in JPEG_SUFFIXES:
            continue  # a note says so
        old, new = (_ask_exiftool("-b", f"-{name}", str(path)) for path in (source, output))
        if old != new:
            yield f"{name} of {len(old)} bytes became one of {len(new)}"


def _coding_faults(source: Path, output: Path) -> Iterator[str]:
    """What the decoders above do not show."""
    old, new = source.read_bytes(), output.read_bytes()
    depths = [_avif_depth(data) for data in (old, new)]
    if depths[0] and depths[1] and depths[1] < depths[0]:
        yield f"AVIF of {depths[0]} bits became one of {depths[1]}"
    if (
        output.suffix == ".jp2"
        and b"colr\x03" in old[:4096]
        and b"colr\x03" not in new
        and b"colr\x02" not in new
    ):
        yield "a JP2 profile by method 3 is gone"
    if new[:2] in (b"II", b"MM"):
        with tifffile.TiffFile(output) as file:
            if any(37724 in page.aspage().tags for page in file.pages):
                yield "Photoshop layers (tag 37724) show the old picture"
    if new[:2] == b"\xff\xd8":
        try:
            imagecodecs.jpeg8_decode(new)
        except imagecodecs.Jpeg8Error as error:
            yield f"libjpeg: {error}"


def _avif_depth(data: bytes) -> int:
    _, found, box = data[:1_000_000].partition(b"av1C")
    return 0 if not found else 12 if box[2] & 0x20 else 10 if box[2] & 0x40 else 8
