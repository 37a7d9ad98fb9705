"""Gray stays the same within one code value, at every depth, in every format, under any colors."""

import io
from pathlib import Path

import cv2
import jpeglib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.images import gray, load, save
from support.scenes import Colorize, scene

from colorcli.images.codecs.jpeg import luma as jpeg_luma
from colorcli.images.codecs.jpeg import segments as jpeg_segments
from colorcli.images.codecs.jpeg import turbojpeg as jpeg_turbo
from colorcli.options import RunOptions

FORMATS = [
    *((suffix, depth) for suffix in (".png", ".tif", ".jp2", ".ppm") for depth in (8, 16)),
    *((suffix, 8) for suffix in (".webp", ".bmp", ".jpg", ".avif")),
]


@pytest.mark.parametrize(("suffix", "depth"), FORMATS)
@pytest.mark.parametrize("saturation", [1.0, 4.0])
def test_gray_pictures_keep_their_gray(
    suffix: str, depth: int, saturation: float, tmp_path: Path, colorize: Colorize
) -> None:
    source = save(tmp_path / f"in{suffix}", scene(peak=(1 << depth) - 1))
    outcome = colorize(source, tmp_path / f"out{suffix}", saturation=saturation)
    before, after = load(source), load(tmp_path / f"out{suffix}")
    assert outcome.action == "colorized"
    assert after.dtype == before.dtype
    assert after.shape[:2] == before.shape[:2]
    assert np.abs(gray(after) - gray(before)).max() <= 1
    assert np.ptp(after[:, :, :3].astype(int), axis=2).mean() > 2 << (depth - 8), "no color came in"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_exact(suffix: str, depth: int, channels: int, tmp_path: Path, colorize: Colorize) -> None:
    base = scene(peak=(1 << depth) - 1)
    pixels = np.stack([base] * (channels - 1) + [base[::-1]], axis=2)
    source = save(tmp_path / f"in{suffix}", pixels)
    colorize(source, tmp_path / f"out{suffix}", saturation=3.0)
    after = load(tmp_path / f"out{suffix}")
    assert after.shape[2] == 4
    assert (after[:, :, 3] == base[::-1]).all()
    assert np.abs(gray(after) - base).max() <= 1


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("saturation", [0.5, 1.0, 4.0])
def test_every_code_value_of_a_ramp(
    depth: int, saturation: float, tmp_path: Path, colorize: Colorize
) -> None:
    values = np.arange(1 << depth, dtype=np.uint8 if depth == 8 else np.uint16)
    source = save(tmp_path / "ramp.png", np.tile(values.reshape(-1, 256), (1, 1)))
    colorize(source, tmp_path / "out.png", saturation=saturation)
    assert np.abs(gray(load(tmp_path / "out.png")) - gray(load(source))).max() <= 1


def jpeg(path: Path, pixels: NDArray[np.uint8], mode: str, **options: object) -> Path:
    image = Image.fromarray(pixels).convert(mode)
    image.save(path, "JPEG", **options)
    return path


JPEGS = {
    "gray": ("L", {}),
    "gray progressive": ("L", {"progressive": True}),
    "gray restarts": ("L", {"restart_marker_rows": 1}),
    "coarse": ("L", {"quality": 20}),
    "finest": ("L", {"quality": 100}),
    "4:2:0": ("RGB", {"subsampling": 2}),
    "4:2:2": ("RGB", {"subsampling": 1}),
    "4:4:4 progressive": ("RGB", {"subsampling": 0, "progressive": True}),
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("saturation", [1.0, 4.0])
def test_jpeg_luma_is_untouched(kind: str, saturation: float, tmp_path: Path, colorize: Colorize) -> None:
    mode, options = JPEGS[kind]
    source = jpeg(tmp_path / "in.jpg", scene(133, 171), mode, **options)
    colorize(source, tmp_path / "out.jpg", saturation=saturation)
    before, after = (cv2.imread(str(tmp_path / name), cv2.IMREAD_GRAYSCALE) for name in ("in.jpg", "out.jpg"))
    assert (before == after).all()
    shown = np.asarray(Image.open(tmp_path / "out.jpg").convert("L"), int)
    assert np.abs(shown - before).max() <= 1


@pytest.fixture(params=["turbojpeg", "jpeglib"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "jpeglib":
        monkeypatch.setattr(jpeg_turbo, "turbo", None)
    elif jpeg_turbo.turbo is None:
        pytest.skip("turbojpeg is not installed")


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("options", [{"subsampling": 2}, {"subsampling": 1, "progressive": True}])
def test_luma_alone_has_the_same_coefficients(options: dict[str, object], tmp_path: Path) -> None:
    source = jpeg(tmp_path / "in.jpg", scene(133, 171), "RGB", quality=90, **options)
    data = source.read_bytes()
    frame = jpeg_segments.frame_of(jpeg_segments.parse(data)[0])
    (tmp_path / "luma.jpg").write_bytes(jpeg_luma.extract_luma(data, frame).data)
    before, after = (jpeglib.read_dct(str(tmp_path / name)) for name in ("in.jpg", "luma.jpg"))
    blocks = tuple(-(-length // 8) for length in (133, 171))
    assert (before.Y[: blocks[0], : blocks[1]] == after.Y[: blocks[0], : blocks[1]]).all()
    assert (before.qt[0] == after.qt[0]).all()


@pytest.mark.skipif(jpeg_turbo.turbo is None, reason="turbojpeg is not installed")
def test_a_jpeg_of_one_colored_block_is_not_neutral(tmp_path: Path) -> None:
    picture = np.stack([scene(96, 112)] * 3, axis=2)
    for name, neutral in (("gray.jpg", True), ("colored.jpg", False)):
        data = jpeg(tmp_path / name, picture, "RGB", quality=90).read_bytes()
        frame = jpeg_segments.frame_of(jpeg_segments.parse(data)[0])
        assert jpeg_luma.extract_luma(data, frame).neutral == neutral
        picture[-4:, -4:] = (255, 90, 0)


@pytest.mark.parametrize("mode", ["CMYK", "RGB"])
def test_jpeg_without_luma(mode: str, tmp_path: Path, colorize: Colorize) -> None:
    options = {"keep_rgb": True} if mode == "RGB" else {}
    source = jpeg(tmp_path / "in.jpg", scene(133, 171), mode, quality=95, **options)
    colorize(source, tmp_path / "out.jpg")
    before = np.asarray(Image.open(source).convert("RGB").convert("L"), int)
    after = Image.open(tmp_path / "out.jpg")
    assert after.mode == "RGB"
    assert np.abs(np.asarray(after.convert("L"), int) - before).max() <= 1


@pytest.mark.parametrize("large", [False, True])
def test_large_jpegs_share_chroma_without_moving_gray(
    large: bool, tmp_path: Path, colorize: Colorize, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colorcli.images.codecs.jpeg.codec.FULL_CHROMA_PIXELS", 1000 if large else 10**9)
    monkeypatch.setattr("colorcli.images.raster.BAND_PIXELS", 1000)  # so that there are several bands
    source = jpeg(tmp_path / "in.jpg", scene(135, 173), "L", quality=90)
    colorize(source, tmp_path / "out.jpg", saturation=4.0)
    before = cv2.imread(str(source), cv2.IMREAD_GRAYSCALE)
    after = Image.open(tmp_path / "out.jpg")
    assert after.layer[0][1:3] == ((2, 2) if large else (1, 1))  # type: ignore[attr-defined]
    apart = np.abs(np.asarray(after.convert("L"), int) - before)
    # Shared colors that are four times as strong may clip in single pixels: luma itself is the source's.
    assert apart.max() <= (3 if large else 1)
    assert (apart > 1).mean() < 2e-3


def test_narrow_samples_and_palettes(tmp_path: Path, colorize: Colorize) -> None:
    base = Image.fromarray(scene())
    for name, picture in {
        "one": base.convert("1"),
        "palette": base.convert("RGB").quantize(16),
        "key": base,
    }.items():
        options = {"transparency": 0} if name == "key" else {}
        picture.save(tmp_path / f"{name}.png", **options)
        colorize(tmp_path / f"{name}.png", tmp_path / f"{name}-out.png")
        before, after = Image.open(tmp_path / f"{name}.png"), Image.open(tmp_path / f"{name}-out.png")
        assert after.mode == ("RGBA" if name == "key" else "RGB")
        difference = np.asarray(after.convert("RGB").convert("L"), int) - np.asarray(
            before.convert("RGB").convert("L"), int
        )
        assert np.abs(difference).max() <= 1
        if name == "key":
            assert (np.asarray(after)[:, :, 3] == np.asarray(before.convert("RGBA"))[:, :, 3]).all()


def test_conversion_between_formats(tmp_path: Path, colorize: Colorize) -> None:
    source = save(tmp_path / "in.tif", scene(peak=65535))
    for suffix in (".png", ".jp2", ".webp", ".jpg", ".bmp"):
        colorize(source, tmp_path / f"out{suffix}", options=RunOptions(lossy=True))
        after = load(tmp_path / f"out{suffix}")
        scale = 257 if after.dtype == np.uint8 else 1
        assert np.abs(gray(after) - scene(peak=65535) / scale).max() <= 1.5, suffix
    jpeg_source = jpeg(tmp_path / "in.jpg", scene(), "L")
    colorize(jpeg_source, tmp_path / "from-jpeg.png")
    before = cv2.imread(str(jpeg_source), cv2.IMREAD_GRAYSCALE)
    assert np.abs(gray(load(tmp_path / "from-jpeg.png")) - before).max() <= 1


def test_stored_file_is_decodable_by_many(tmp_path: Path, colorize: Colorize) -> None:
    """The spliced JPEG is plain T.81: Pillow, OpenCV and ffmpeg agree on it."""
    import av

    source = jpeg(tmp_path / "in.jpg", scene(120, 160), "L", quality=92)
    colorize(source, tmp_path / "out.jpg")
    ours = np.asarray(Image.open(tmp_path / "out.jpg"), int)
    theirs = cv2.imread(str(tmp_path / "out.jpg"))[:, :, ::-1].astype(int)
    with av.open(io.BytesIO((tmp_path / "out.jpg").read_bytes()), format="mjpeg") as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(ours - theirs).max() <= 1
    assert np.abs(ours - frame).max() <= 4  # another inverse DCT and another matrix rounding


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_toned_pictures_look_as_gray_as_before(
    subsampling: int, large: bool, tmp_path: Path, colorize: Colorize, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a tone clips in the source, its gray through RGB is not its luma: both have to stay."""
    monkeypatch.setattr("colorcli.images.codecs.jpeg.codec.FULL_CHROMA_PIXELS", 1000 if large else 10**9)
    base = scene(69, 91).astype(np.float32)
    planes = np.stack([base, np.full_like(base, 112), np.full_like(base, 141)], axis=2).astype(np.uint8)
    source = tmp_path / "in.jpg"
    Image.fromarray(planes, "YCbCr").save(source, quality=93, subsampling=subsampling)
    outcome = colorize(source, tmp_path / "out.jpg")
    assert outcome.action == "colorized"
    luma = [cv2.imread(str(tmp_path / name), cv2.IMREAD_GRAYSCALE) for name in ("in.jpg", "out.jpg")]
    displayed = [np.asarray(Image.open(tmp_path / name).convert("L"), int) for name in ("in.jpg", "out.jpg")]
    assert np.abs(displayed[0] - luma[0]).max() > 1, "the source clips nowhere: this tests nothing"
    assert (luma[0] == luma[1]).all()
    assert np.abs(displayed[1] - displayed[0]).max() <= 1


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_gray_stays_beside_edges_of_colors_that_clip(
    subsampling: int, tmp_path: Path, colorize: Colorize, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a pixel mixes a sample of chroma that clips with one that does not."""
    monkeypatch.setattr("colorcli.images.codecs.jpeg.codec.FULL_CHROMA_PIXELS", 1000)
    rng = np.random.default_rng(3)
    chroma = [cv2.resize(rng.integers(90, 170, (11, 15), np.uint8), (91, 69)) for _ in range(2)]
    source = tmp_path / "in.jpg"
    picture = np.stack([scene(69, 91), *chroma], axis=2)
    Image.fromarray(picture, "YCbCr").save(source, quality=95, subsampling=subsampling)
    colorize(source, tmp_path / "out.jpg", recolor=True)
    before, after = (
        np.asarray(Image.open(tmp_path / name).convert("L"), int) for name in ("in.jpg", "out.jpg")
    )
    assert np.abs(after - before).max() <= 1


def test_without_a_library_for_coefficients_gray_stays_within_a_code_value(
    tmp_path: Path, colorize: Colorize, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colorcli.images.codecs.jpeg.codec.can_extract", lambda: False)
    source = jpeg(tmp_path / "in.jpg", scene(133, 171), "RGB", quality=90)
    notes: list[str] = []
    colorize(source, tmp_path / "out.jpg", on_note=notes.append)
    before, after = (
        np.asarray(Image.open(tmp_path / name).convert("L"), int) for name in ("in.jpg", "out.jpg")
    )
    assert np.abs(after - before).max() <= 1
    assert "encoded again" in notes[0]
