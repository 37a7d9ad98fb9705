"""What a file says of its picture and sound: range, aspect ratio, fields and times."""

from pathlib import Path

import av
import numpy as np
import pytest
from support.videos import colorcli, gray, make, run

SOUND = ["-f", "lavfi", "-i", "sine=r=48000:d=1"]


def shown(path: Path) -> np.ndarray:
    """Mean brightness of each frame as players show it, after conversion to RGB."""
    with av.open(path) as container:
        return np.array([frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)])


@pytest.mark.parametrize("stated", ["pc", "unknown"])
@pytest.mark.parametrize(("name", "is_noted"), [("out.mkv", False), ("out.avi", True), ("out.mov", True)])
def test_gray_film_is_shown_as_bright_as_it_was(
    tmp_path: Path, toy_model: Path, name: str, is_noted: bool, stated: str
) -> None:
    """Gray has full range, stated or not; of its outputs FFV1 states it in Matroska only."""
    dark = f"hue=s=0,lutyuv=y=val/4,format=gray,setparams=range={stated}"
    source = make(tmp_path / "in.mkv", *gray(0.12, "64x48"), "-vf", dark, "-c:v", "ffv1")
    done = colorcli("run", source, "-o", tmp_path / name, "--model", toy_model, "--codec", "ffv1")
    assert done.returncode == 0, done.stderr
    assert (b"is full range" in done.stdout + done.stderr) == is_noted
    # Colors change the mean by a little.
    assert np.abs(shown(tmp_path / name) - shown(source)).max() < 5


def test_numbered_gray_pictures_become_quicktime(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "in").mkdir()
    make(tmp_path / "in" / "f_%02d.png", *gray(0.12, "64x48"), "-pix_fmt", "gray")
    run(toy_model, tmp_path / "in" / "f_%02d.png", tmp_path / "out.mov")
    assert len(shown(tmp_path / "out.mov")) == 3


@pytest.mark.parametrize(("codec", "is_kept"), [("ac3", True), ("libvorbis", False)])
def test_sound_in_avi_keeps_its_times_or_is_refused(
    tmp_path: Path, toy_model: Path, codec: str, is_kept: bool
) -> None:
    source = make(tmp_path / "in.mkv", *gray(1, "64x48"), *SOUND, "-c:v", "mpeg4", "-c:a", codec)
    if is_kept:  # AVI states the length of its packets in a way that must not be copied
        source = make(tmp_path / "in.avi", "-i", source, "-c", "copy")
    done = colorcli("run", source, "-o", tmp_path / "out.avi", "--model", toy_model)
    assert done.returncode == (0 if is_kept else 4), done.stderr
    if not is_kept:
        assert b"stream 1 (audio vorbis) cannot be kept in avi" in done.stderr
        return
    with av.open(tmp_path / "out.avi") as container:
        times = [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.size]
    assert times[-1] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codec", "filters"),
    [("in.y4m", "wrapped_avframe", "setsar=64/45"), ("in.mkv", "libx264", "setsar=118/81")],
)
def test_an_unusual_aspect_ratio_is_exact(
    tmp_path: Path, toy_model: Path, name: str, codec: str, filters: str
) -> None:
    size = "96x72" if name == "in.y4m" else "720x576"
    source = make(tmp_path / name, *gray(0.08, size), "-vf", f"hue=s=0,{filters}", "-c:v", codec)
    output = tmp_path / f"out{source.suffix}"
    run(toy_model, source, output)
    with av.open(source) as before, av.open(output) as after:
        assert after.streams.video[0].sample_aspect_ratio == before.streams.video[0].sample_aspect_ratio


def test_fields_that_begin_midway_are_named(tmp_path: Path, toy_model: Path) -> None:
    mpeg2 = ["-c:v", "mpeg2video", "-q:v", "3"]
    plain = make(tmp_path / "1.ts", *gray(0.2, "64x64"), *mpeg2)
    fields = make(
        tmp_path / "2.ts", *gray(0.2, "64x64"), "-vf", "hue=s=0,setfield=tff", *mpeg2, "-flags", "+ildct"
    )
    source = tmp_path / "in.ts"
    source.write_bytes(plain.read_bytes() + fields.read_bytes())
    done = colorcli("run", source, "-o", tmp_path / "out.mkv", "--model", toy_model)
    assert b"from frame 5 on, frames are interlaced" in done.stdout + done.stderr
    refused = colorcli("run", fields, "-o", tmp_path / "no.mkv", "--model", toy_model, "--codec", "libx265")
    assert refused.returncode == 4
    assert b"is interlaced, which libx265 cannot code" in refused.stderr


def test_samples_in_floating_point_are_refused_by_name(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "in").mkdir()
    pattern = make(tmp_path / "in" / "f_%02d.exr", *gray(0.08, "64x48"), "-pix_fmt", "gbrpf32le")
    refused = colorcli("run", pattern, "-o", tmp_path / "out.mkv", "--model", toy_model)
    assert refused.returncode == 4
    assert b"floating-point" in refused.stderr
