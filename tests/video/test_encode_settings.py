"""Encoders, and what is said when one cannot do what is asked."""

import os
from pathlib import Path

import av
import pytest
from support.videos import bitstream, colorcli, gray, make, run, times

FFV1 = ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le"])
@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "dnxhd", "prores_ks", "ffv1"])
def test_encoders_at_8_and_10_bits(tmp_path: Path, toy_model: Path, codec: str, pix_fmt: str) -> None:
    pix_fmt = pix_fmt.replace("422", "420") if codec == "libsvtav1" else pix_fmt  # it has no other
    source = make(tmp_path / "in.mkv", *gray(0.1, "320x240"), "-c:v", "ffv1", "-pix_fmt", pix_fmt)
    output = tmp_path / ("out.mov" if codec == "dnxhd" else "out.mkv")
    run(toy_model, source, output, "--codec", codec)
    assert times(source) == times(output)
    with av.open(output) as container:
        assert next(container.decode(video=0)).format.components[0].bits >= (10 if "10" in pix_fmt else 8)


def test_an_encoder_whose_hardware_is_missing_is_one_line(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.1), *FFV1)
    done = colorcli(
        "run", source, "-o", tmp_path / "out.mkv", "--model", toy_model, "-q", "--codec", "h264_nvenc"
    )
    assert done.returncode in (0, 3)
    assert len(done.stderr.splitlines()) == (done.returncode != 0)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--start", "99:99"), b"no frame between"),
        (("--encoder-args", '"'), b"No closing quotation"),
        (("--codec", "prores_ks", "--pix-fmt", "yuv410p"), b"no ProRes profile"),
        (("--crf", "9999"), b"choose 0 to 51"),
        (("--preset", "nope"), b"libx264 does not take it"),
        (("--pix-fmt", "nope"), b"is not a pixel format"),
        (("--codec", "aac"), b"no such video encoder"),
        (("--codec", "dnxhd"), b"dnxhd does not take it"),
    ],
)
def test_a_video_that_cannot_be_done_as_asked_is_one_line(
    tmp_path: Path, toy_model: Path, flags: tuple[str, ...], says: bytes
) -> None:
    source = make(tmp_path / "in.mov", *gray(0.2), "-c:v", "mpeg4")
    done = colorcli("run", source, "-o", tmp_path / "out.mov", "--model", toy_model, "-q", *flags)
    assert done.returncode not in (0, 130)
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.mov"]


def test_x264_gives_the_same_bits_whatever_is_left_in_memory(tmp_path: Path, toy_model: Path) -> None:
    """Resumed runs and other machines must give the bits of one run, also where x264 has AVX-512."""
    source = make(tmp_path / "in.mkv", *gray(2, "96x64"), *FFV1)
    outputs = []
    for fill in ("0", "85"):  # glibc hands out memory with a byte made of it
        outputs.append(tmp_path / f"{fill}.mkv")
        flags = ("--codec", "libx264", "--encoder-args", "-x264-params keyint=50")
        run(toy_model, source, outputs[-1], *flags, env={**os.environ, "MALLOC_PERTURB_": fill})
    assert bitstream(outputs[0]) == bitstream(outputs[1])
