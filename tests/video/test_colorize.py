"""Options of a video run: trimming, comparing, tone mapping, copying, times."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
from support.videos import gray, make, plane_of, planes, run, times

from colorcli.events import Event, Note
from colorcli.options import ColorOptions, RunOptions, VideoOptions
from colorcli.video.preflight import preflight

FFV1 = ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]


def test_trimmed_video_is_exact_and_its_sound_with_it(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(2), "-f", "lavfi", "-i", "sine=d=2", *FFV1, "-c:a", "flac")
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--start", "0.4", "--end", "40f")
    assert all(np.array_equal(a, b) for a, b in zip(planes(source)[10:40], planes(output), strict=True))
    assert times(output)[0] == 0
    with av.open(output) as made:
        heard = [float(packet.pts * packet.time_base) for packet in made.demux(audio=0) if packet.size]
    assert heard[0] < 0.11
    assert 1.0 < heard[-1] < 1.2


def test_compare_shows_gray_beside_color(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.2), *FFV1)
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--compare")
    (luma, *_), (chroma, *_) = planes(output), planes(output, 1)
    assert luma.shape == (120, 320)
    assert np.array_equal(luma[:, :160], luma[:, 160:])
    assert np.ptp(chroma[:, :80]) == 0
    assert np.ptp(chroma[:, 80:]) > 2


@pytest.mark.parametrize(("transfer", "tag"), [("smpte2084", 16), ("arib-std-b67", 18)])
def test_tone_mapped_video_is_sdr_and_has_every_frame(
    tmp_path: Path, toy_model: Path, transfer: str, tag: int
) -> None:
    tags = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    source = make(tmp_path / "in.mkv", *gray(0.2), "-vf", tags, "-pix_fmt", "yuv420p10le", "-c:v", "ffv1")
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--tonemap")
    assert times(source) == times(output)
    with av.open(source) as hdr, av.open(output) as sdr:
        before, after = next(hdr.decode(video=0)), next(sdr.decode(video=0))
    assert before.color_trc == tag
    assert (after.colorspace, after.color_primaries, after.color_trc) == (1, 1, 1)
    # Brighter stays brighter.
    order = np.argsort(plane_of(before, 0).ravel()[::101])
    assert np.corrcoef(plane_of(after, 0).ravel()[::101][order], np.arange(order.size))[0, 1] > 0.8


def test_tone_mapping_of_sdr_is_named_before_work(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.2), *FFV1)
    options = RunOptions(ColorOptions((toy_model,)), VideoOptions(tonemap=True))
    notes: list[Event] = []
    with preflight(source, tmp_path / "out.mkv", options, notes.append):
        pass
    assert any(isinstance(note, Note) and "not tone mapped" in note.message for note in notes)


def test_a_video_that_has_color_is_copied(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mp4", "-f", "lavfi", "-i", "mandelbrot=s=160x120,trim=duration=0.5")
    run(toy_model, source, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == source.read_bytes()
    run(toy_model, source, tmp_path / "recolored.mp4", "--recolor")
    assert (tmp_path / "recolored.mp4").read_bytes() != source.read_bytes()


def test_the_time_of_a_video_is_kept_when_asked_for(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.1), *FFV1)
    os.utime(source, ns=(10**18, 10**18 + 7))
    run(toy_model, source, tmp_path / "out.mkv", "--preserve-times")
    assert (tmp_path / "out.mkv").stat().st_mtime_ns == 10**18 + 7
