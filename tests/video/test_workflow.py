"""The professional's tools: trimming, shot lists, references, numbered pictures, comparing."""

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support.films import colorcli, gray, make, plane_of, planes, run, times

from colorcli.errors import UsageError
from colorcli.video.references import find_references
from colorcli.video.shot_list import Shot, ShotList, read_shots, write_shots
from colorcli.video.timecode import Timecode, parse_timecode

FFV1 = ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("12.5", Timecode(seconds=12.5)),
        ("12.5s", Timecode(seconds=12.5)),
        ("00:01:02.5", Timecode(seconds=62.5)),
        ("01:02", Timecode(seconds=62)),
        ("00:01:02:12", Timecode(frame=62 * 25 + 12)),
        ("300f", Timecode(frame=300)),
    ],
)
def test_moments(text: str, moment: Timecode) -> None:
    assert parse_timecode(text, 25) == moment


@pytest.mark.parametrize("text", ["", "x", "1:2:3:4:5", "-3"])
def test_no_moments(text: str) -> None:
    with pytest.raises(UsageError):
        parse_timecode(text, 25)


def test_trimmed_film_is_exact_and_its_sound_with_it(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(2), "-f", "lavfi", "-i", "sine=d=2", *FFV1, "-c:a", "flac")
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--start", "0.4", "--end", "40f")
    assert all(np.array_equal(a, b) for a, b in zip(planes(source)[10:40], planes(output), strict=True))
    assert times(output)[0] == 0
    with av.open(output) as made:
        heard = [float(packet.pts * packet.time_base) for packet in made.demux(audio=0) if packet.size]
    assert heard[0] < 0.11
    assert 1.0 < heard[-1] < 1.2


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--start", "99:99"), b"no frame between"),
        (("--encoder-args", '"'), b"No closing quotation"),
        (("--codec", "prores_ks", "--pix-fmt", "yuv410p"), b"no ProRes profile"),
        (("--crf", "9999"), b"choose 0 to 51"),
        (("--preset", "nope"), b"libx264 does not take it"),
        (("--pix-fmt", "nope"), b"is no pixel format"),
        (("--codec", "aac"), b"no such video encoder"),
        (("--codec", "dnxhd"), b"dnxhd does not take it"),
    ],
)
def test_a_film_that_cannot_be_done_as_asked_is_one_line(
    tmp_path: Path, toy_model: Path, flags: tuple[str, ...], says: bytes
) -> None:
    source = make(tmp_path / "in.mov", *gray(0.2), "-c:v", "mpeg4")
    done = colorcli("run", source, "-o", tmp_path / "out.mov", "--model", toy_model, "-q", *flags)
    assert done.returncode not in (0, 130)
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.mov"]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le"])
@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "dnxhd", "prores_ks", "ffv1"])
def test_encoders_at_8_and_10_bits(tmp_path: Path, toy_model: Path, codec: str, pix_fmt: str) -> None:
    pix_fmt = pix_fmt.replace("422", "420") if codec == "libsvtav1" else pix_fmt  # it has no other
    source = make(tmp_path / "in.mkv", *gray(0.1, "320x240"), "-c:v", "ffv1", "-pix_fmt", pix_fmt)
    output = tmp_path / ("out.mov" if codec == "dnxhd" else "out.mkv")
    run(toy_model, source, output, "--codec", codec)
    assert times(source) == times(output)
    with av.open(output) as film:
        assert next(film.decode(video=0)).format.components[0].bits >= (10 if "10" in pix_fmt else 8)


def test_an_encoder_whose_hardware_is_missing_is_one_line(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.1), *FFV1)
    done = colorcli(
        "run", source, "-o", tmp_path / "out.mkv", "--model", toy_model, "-q", "--codec", "h264_nvenc"
    )
    assert done.returncode in (0, 3)
    assert len(done.stderr.splitlines()) == (done.returncode != 0)


def test_compare_shows_gray_beside_color(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.2), *FFV1)
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--compare")
    (luma, *_), (chroma, *_) = planes(output), planes(output, 1)
    assert luma.shape == (120, 320)
    assert np.array_equal(luma[:, :160], luma[:, 160:])
    assert np.ptp(chroma[:, :80]) == 0
    assert np.ptp(chroma[:, 80:]) > 2


def test_shot_list_survives_a_round_trip(tmp_path: Path) -> None:
    shots = [Shot(0, 10, 0.5, "a.png"), Shot(10, 25, skip=True)]
    write_shots(tmp_path / "shots.csv", shots, 25)
    assert read_shots(tmp_path / "shots.csv") == shots
    found = ShotList(shots)
    assert [found.find(number) for number in (0, 9, 10, 25)] == [shots[0], shots[0], shots[1], None]


@pytest.mark.parametrize("rows", ["x,y", "5,5", "0,9\n8,12"])
def test_bad_shot_lists_name_the_line(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "shots.csv"
    path.write_text(f"start,end\n{rows}\n")
    with pytest.raises(UsageError, match="line"):
        read_shots(path)


def test_a_shot_list_is_obeyed(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.6), *FFV1)
    (tmp_path / "shots.csv").write_text("start,end,saturation,skip\n0,5,1,no\n5,10,0,no\n10,15,1,yes\n")
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--shots", tmp_path / "shots.csv")
    spread = [int(np.ptp(chroma)) for chroma in planes(output, 1)]
    assert min(spread[:5]) > 2
    assert max(spread[5:]) == 0


def test_references_are_found_by_number_and_timecode(tmp_path: Path) -> None:
    for name in ("shot1_000123.png", "00-00-02-12.jpg", "00.00.10.500.tif", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [reference.frame for reference in find_references(tmp_path, 24)] == [60, 123, 252]


def test_a_reference_colors_its_shot_in_both_directions(tmp_path: Path, toy_model: Path) -> None:
    truth = make(
        tmp_path / "truth.mkv", "-f", "lavfi", "-i", "testsrc2=s=160x120:r=25,trim=duration=0.8", *FFV1
    )
    source = make(tmp_path / "in.mkv", "-i", truth, "-vf", "hue=s=0", *FFV1)
    with av.open(truth) as film:
        frame = list(film.decode(video=0))[10].to_ndarray(format="bgr24")
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "000010.png"), frame)
    alone, led = tmp_path / "alone.mkv", tmp_path / "led.mkv"
    run(toy_model, source, alone)
    run(toy_model, source, led, "--references", tmp_path / "frames")

    def error(path: Path, number: int) -> float:
        pairs = [(planes(path, i)[number], planes(truth, i)[number]) for i in (1, 2)]
        return float(np.mean([np.abs(a.astype(float) - b).mean() for a, b in pairs]))

    for number in (4, 10, 16):
        assert error(led, number) < 0.5 * error(alone, number)


@pytest.mark.parametrize(("suffix", "pix_fmt"), [("png", "rgb24"), ("dpx", "gbrp10le"), ("png", "gray16be")])
def test_numbered_pictures(tmp_path: Path, toy_model: Path, suffix: str, pix_fmt: str) -> None:
    (tmp_path / "in").mkdir()
    make(tmp_path / "in" / f"f_%04d.{suffix}", *gray(0.2), "-pix_fmt", pix_fmt)
    (tmp_path / "in" / f"f_0003.{suffix}").unlink()
    target = tmp_path / "out" / f"f_%04d.{'tif' if suffix == 'png' else suffix}"
    done = colorcli("run", tmp_path / "in" / f"f_%04d.{suffix}", "-o", target, "--model", toy_model)
    assert done.returncode == 0, done.stderr
    assert b"pictures 3 to 3 are missing" in done.stderr
    assert sorted(path.stem for path in target.parent.iterdir()) == ["f_0001", "f_0002", "f_0004", "f_0005"]
    before, after = (_gray(tmp_path / "in" / f"f_0004.{suffix}"), _gray(target.with_stem("f_0004")))
    assert np.abs(before - after).max() <= 1


def _gray(path: Path) -> np.ndarray:
    """Gray of a picture in its own code values."""
    with av.open(path, format="image2", options={"pattern_type": "none"}) as file:
        frame = next(file.decode(video=0))
    bits = frame.format.components[0].bits
    if frame.format.name.startswith("gray"):
        return plane_of(frame.reformat(format=f"gray{bits}le" if bits > 8 else "gray"), 0).astype(float)
    planar = frame.reformat(format=f"gbrp{bits}le" if bits > 8 else "gbrp")
    green, blue, red = (plane_of(planar, index).astype(float) for index in range(3))
    return 0.299 * red + 0.587 * green + 0.114 * blue


@pytest.mark.parametrize(("transfer", "tag"), [("smpte2084", 16), ("arib-std-b67", 18)])
def test_tonemapped_film_is_sdr_and_has_every_frame(
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


def test_a_film_that_has_its_colors_is_copied(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mp4", "-f", "lavfi", "-i", "mandelbrot=s=160x120,trim=duration=0.5")
    run(toy_model, source, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == source.read_bytes()
    run(toy_model, source, tmp_path / "recolored.mp4", "--recolor")
    assert (tmp_path / "recolored.mp4").read_bytes() != source.read_bytes()


def test_the_time_of_a_film_is_kept_when_asked_for(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.1), *FFV1)
    os.utime(source, ns=(10**18, 10**18 + 7))
    run(toy_model, source, tmp_path / "out.mkv", "--preserve-times")
    assert (tmp_path / "out.mkv").stat().st_mtime_ns == 10**18 + 7
