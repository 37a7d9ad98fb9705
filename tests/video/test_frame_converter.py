"""Frame converter: luma reaches the encoder bit for bit, and fields are colorized separately."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from colorcli.video.frame_converter import open_converter, side_by_side
from colorcli.video.info import BOTTOM_FIRST, PROGRESSIVE, TOP_FIRST, VideoInfo
from colorcli.video.pixel_formats import all_samples, natural_layout, planar_layout

WORKING = (30, 40)


def info_of(pix_fmt: str, size: tuple[int, int] = (80, 60), **changes: object) -> VideoInfo:
    info = VideoInfo(
        source=Path("video.mkv"), stream=0, codec="ffv1", container="matroska", width=size[0], height=size[1],
        pix_fmt=pix_fmt, time_base=Fraction(1, 1000), rate=Fraction(25), frames=None, sample_aspect=None,
        range=1, matrix_tag=1, primaries=1, transfer=1, field_order=PROGRESSIVE, display_matrix=None,
    )  # fmt: skip
    return replace(info, **changes)  # type: ignore[arg-type]


def noise(info: VideoInfo, seed: int = 1) -> av.VideoFrame:
    """A picture of random code values, the whole range of them."""
    frame = av.VideoFrame(info.width, info.height, info.pix_fmt)
    layout = planar_layout(info.pix_fmt)
    assert layout is not None
    random = np.random.default_rng(seed)
    for plane in all_samples(frame, layout):
        plane[:] = random.integers(0, 1 << layout.bits, plane.shape)
    return frame


def chroma(cb: float, cr: float) -> np.ndarray:
    return np.broadcast_to(np.array([cb, cr], np.float32)[:, None, None], (2, *WORKING))


@pytest.mark.parametrize("size", [(80, 60), (81, 61)])
@pytest.mark.parametrize(
    "pix_fmt",
    ["yuv420p", "yuv422p", "yuv444p10le", "yuv420p10le", "yuv422p12le", "yuv444p16le", "yuva420p", "yuv411p"],
)
def test_luma_and_alpha_are_bit_exact(pix_fmt: str, size: tuple[int, int]) -> None:
    info = info_of(pix_fmt, size)
    converter = open_converter(info, natural_layout(info))
    source = noise(info)
    result = converter.colorize(source, converter.views(source, WORKING), [chroma(0.1, -0.1)])
    before, after = all_samples(source, converter.target), all_samples(result, converter.target)
    assert np.array_equal(before[0], after[0])
    assert all(np.array_equal(a, b) for a, b in zip(before[3:], after[3:], strict=True))
    assert not np.array_equal(before[1], after[1])


@pytest.mark.parametrize(("bits", "full"), [(8, False), (8, True), (10, False), (16, True)])
def test_chroma_has_the_code_values_of_its_range(bits: int, full: bool) -> None:
    info = info_of(f"yuv444p{bits}le" if bits > 8 else "yuv444p", range=2 if full else 1, matrix_tag=6)
    converter = open_converter(info, natural_layout(info))
    source = noise(info)
    all_samples(source, converter.target)[0][:] = 1 << (bits - 1)  # mid gray has room for any small chroma
    result = converter.colorize(source, converter.views(source, WORKING), [chroma(0.1, -0.1)])
    scale = (1 << bits) - 1 if full else 224 << (bits - 8)
    _, cb, cr = all_samples(result, converter.target)
    assert np.abs(cb.astype(int) - round(0.1 * scale + (1 << (bits - 1)))).max() <= 1
    assert np.abs(cr.astype(int) - round(-0.1 * scale + (1 << (bits - 1)))).max() <= 1


@pytest.mark.parametrize("field_order", [TOP_FIRST[0], BOTTOM_FIRST[0]])
def test_fields_are_colorized_separately_in_the_order_of_time(field_order: int) -> None:
    info = info_of("yuv422p", field_order=field_order)
    converter = open_converter(info, natural_layout(info))
    source = noise(info)
    luma = all_samples(source, converter.target)[0]
    luma[0::2], luma[1::2] = 120, 140
    first, second = converter.views(source, WORKING)
    assert (first.small.mean() < second.small.mean()) == (field_order in TOP_FIRST)
    result = converter.colorize(source, [first, second], [chroma(0.1, 0), chroma(-0.1, 0)])
    _, cb, _ = all_samples(result, converter.target)
    earlier, later = (cb[0::2], cb[1::2]) if field_order in TOP_FIRST else (cb[1::2], cb[0::2])
    assert earlier.min() > 128 > later.max()
    assert np.array_equal(all_samples(result, converter.target)[0], luma)


def test_gray_gets_chroma_planes() -> None:
    info = info_of("gray10le")
    converter = open_converter(info, natural_layout(info))
    source = av.VideoFrame(info.width, info.height, "gray10le")
    for plane in source.planes:
        plane.update(bytes(range(256)) * (plane.buffer_size // 256) + bytes(plane.buffer_size % 256))
    result = converter.colorize(source, converter.views(source, WORKING), [chroma(0.1, 0)])
    assert result.format.name == "yuv420p10le"
    assert bytes(result.planes[0])[:100] == bytes(source.planes[0])[:100]
    assert converter.thumbnail(source, converter.views(source, WORKING)) is None


def test_a_frame_that_keeps_its_color_is_passed_on() -> None:
    info = info_of("yuv420p")
    converter = open_converter(info, natural_layout(info))
    source = noise(info)
    assert converter.colorize(source, converter.views(source, WORKING), None) is source


@pytest.mark.parametrize("pix_fmt", ["gbrp", "gbrp10le"])
def test_rgb_keeps_its_luma_and_stays_in_range(pix_fmt: str) -> None:
    info = info_of(pix_fmt)
    converter = open_converter(info, natural_layout(info))
    source = noise(info)
    gray, result = (
        all_samples(picture, converter.target)
        for picture in (
            converter.without_color(source),
            converter.colorize(source, converter.views(source, WORKING), [chroma(0.2, -0.2)]),
        )
    )
    luma = sum(weight * plane for weight, plane in zip((0.587, 0.114, 0.299), result, strict=True))
    assert np.abs(luma - gray[0]).max() <= 1
    assert all(np.array_equal(gray[0], plane) for plane in gray)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p10le"])
def test_side_by_side_holds_both_pictures(pix_fmt: str) -> None:
    info = info_of(pix_fmt, (81, 61))
    layout = natural_layout(info)
    left, right = noise(info, 1), noise(info, 2)
    pair = side_by_side(left, right)
    assert (pair.width, pair.height) == (162, 61)
    luma = all_samples(pair, layout)[0]
    assert np.array_equal(luma[:, :81], all_samples(left, layout)[0])
    assert np.array_equal(luma[:, 81:], all_samples(right, layout)[0])
