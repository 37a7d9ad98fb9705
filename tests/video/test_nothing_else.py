"""Nothing but chroma changes: streams, times, tags, range, aspect, fields, and the Y plane bit for bit."""

from pathlib import Path

import av
import numpy as np
import pytest
from support.videos import GLASS, colorcli, differences, gray, make, planes, run, times

FFV1 = ["-c:v", "ffv1"]
CHAPTERS = """;FFMETADATA1
title=A video
[CHAPTER]
TIMEBASE=1/1000
START=0
END=500
title=One
[CHAPTER]
TIMEBASE=1/1000
START=500
END=1000
title=Two
"""
SUBTITLES = "1\n00:00:00,100 --> 00:00:00,600\nHello\n"


@pytest.mark.parametrize(
    ("pix_fmt", "span"),
    [
        ("yuv420p", "tv"),
        ("yuv420p", "pc"),
        ("yuv422p10le", "tv"),
        ("yuv444p10le", "pc"),
        ("gray", "pc"),
        ("gray10le", "pc"),
        ("yuv420p12le", "tv"),
    ],
)
def test_luma_is_bit_exact(tmp_path: Path, toy_model: Path, pix_fmt: str, span: str) -> None:
    source = make(
        tmp_path / "in.mkv", *gray(0.4), "-vf", f"scale=out_range={span}", "-pix_fmt", pix_fmt,
        "-color_range", span, *FFV1,
    )  # fmt: skip
    output = tmp_path / "out.mkv"
    run(toy_model, source, output)
    before, after = planes(source), planes(output)
    assert len(before) == len(after) == 10
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert any(np.ptp(chroma) > 2 for chroma in planes(output, 1)), "no color was added"
    assert differences(source, output) == []


def test_every_stream_is_kept(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "chapters.txt").write_text(CHAPTERS)
    (tmp_path / "words.srt").write_text(SUBTITLES)
    (tmp_path / "font.ttf").write_bytes(b"not a font")
    source = make(
        tmp_path / "in.mkv", *gray(), "-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "sine=f=600:d=1",
        "-i", tmp_path / "words.srt", "-i", tmp_path / "chapters.txt",
        "-map", "0:v", "-map", "1:a", "-map", "2:a", "-map", "3:s", "-map_metadata", "4",
        "-c:v", "libx264", "-c:a:0", "aac", "-c:a:1", "flac", "-metadata:s:a:1", "language=fra",
        "-disposition:a:1", "original", "-attach", tmp_path / "font.ttf",
        "-metadata:s:t", "mimetype=font/ttf",
    )  # fmt: skip
    output = tmp_path / "out.mkv"
    run(toy_model, source, output)
    assert differences(source, output) == []


def test_variable_rate_and_a_late_start_keep_their_times(tmp_path: Path, toy_model: Path) -> None:
    source = make(
        tmp_path / "in.mp4", "-itsoffset", "0.5", *gray(2, rate="30"), "-f", "lavfi", "-i", "sine=d=2",
        "-map", "0:v", "-map", "1:a", "-vf", "select='not(mod(n\\,3))+eq(mod(n\\,7)\\,0)'",
        "-fps_mode", "vfr", "-c:v", "libx264", "-video_track_timescale", "90000", "-c:a", "aac",
    )  # fmt: skip
    assert len({round(b - a, 3) for a, b in zip(times(source), times(source)[1:], strict=False)}) > 2
    output = tmp_path / "out.mp4"
    run(toy_model, source, output)
    assert differences(source, output) == []


def test_timecode_and_chapters_of_quicktime(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "chapters.txt").write_text(CHAPTERS)
    source = make(
        tmp_path / "in.mov", *gray(), "-i", tmp_path / "chapters.txt", "-map", "0:v", "-map_metadata", "1",
        "-pix_fmt", "yuv422p10le", "-c:v", "prores_ks", "-timecode", "01:00:00:00",
    )  # fmt: skip
    output = tmp_path / "out.mov"
    run(toy_model, source, output)
    found = differences(source, output)
    # The muxer makes the chapter track itself, and libavformat's versions call its kind differently.
    assert all("subtitle" in difference for difference in found), found
    with av.open(output) as made:
        assert made.streams.video[0].metadata["timecode"] == "01:00:00:00"


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_color_tags_and_aspect(tmp_path: Path, toy_model: Path, suffix: str) -> None:
    tags = "setparams=color_primaries=bt470bg:color_trc=bt470bg:colorspace=bt470bg:range=tv"
    source = make(tmp_path / f"in.{suffix}", *gray(0.4), "-vf", f"setsar=16/15,{tags}", "-c:v", "libx264")
    output = tmp_path / f"out.{suffix}"
    run(toy_model, source, output)
    assert differences(source, output) == []


def test_anamorphic_ffv1_keeps_its_aspect(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.4), "-vf", "setsar=16/15", *FFV1)
    output = tmp_path / "out.mkv"
    run(toy_model, source, output)
    assert differences(source, output) == []


def test_rotation_is_kept(tmp_path: Path, toy_model: Path) -> None:
    upright = make(tmp_path / "upright.mp4", *gray(0.4), "-c:v", "libx264")
    source = tmp_path / "in.mp4"
    with av.open(upright) as whole, av.open(source, "w") as turned:  # -display_rotation is new in ffmpeg 6
        stream = turned.add_stream_from_template(whole.streams.video[0])
        stream.set_display_matrix((0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30))
        for packet in whole.demux(video=0):
            if packet.size:
                packet.stream = stream
                turned.mux(packet)
    output = tmp_path / "out.mp4"
    run(toy_model, source, output)
    assert differences(source, output) == []


@pytest.mark.parametrize("first", ["tff", "bff"])
def test_interlaced_video_stays_interlaced(tmp_path: Path, toy_model: Path, first: str) -> None:
    mode = {"tff": "interleave_top", "bff": "interleave_bottom"}[first]
    source = make(
        tmp_path / "in.mkv", *gray(0.5, rate="50"), "-vf", f"tinterlace={mode},setfield={first}",
        "-c:v", "libx264", "-x264-params", f"{first}=1", "-flags", "+ildct+ilme",
    )  # fmt: skip
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--codec", "ffv1")
    assert differences(source, output) == []
    assert all(np.array_equal(a, b) for a, b in zip(planes(source), planes(output), strict=True))


def test_deinterlaced_video_has_every_frame(tmp_path: Path, toy_model: Path) -> None:
    source = make(
        tmp_path / "in.mkv", *gray(0.5, rate="50"), "-vf", "tinterlace=interleave_top,setfield=tff",
        "-c:v", "libx264", "-x264-params", "tff=1", "-flags", "+ildct+ilme",
    )  # fmt: skip
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--deinterlace")
    assert times(source) == times(output)
    assert all(difference.startswith("interlaced") for difference in differences(source, output))


def test_odd_sizes(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.4, "161x121"), "-pix_fmt", "yuv420p", *FFV1)
    exact, delivered = tmp_path / "out.mkv", tmp_path / "out.mp4"
    run(toy_model, source, exact)
    run(toy_model, source, delivered)
    assert all(np.array_equal(a, b) for a, b in zip(planes(source), planes(exact), strict=True))
    found = differences(source, delivered, tags=False)
    assert all(difference.startswith("disposition") for difference in found), found  # MP4 has no other


def test_rgb_keeps_its_gray(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.4), "-pix_fmt", "gbrp10le", *FFV1)
    output = tmp_path / "out.mkv"
    run(toy_model, source, output)
    weights = (0.587, 0.114, 0.299)  # of green, blue and red: the planes' order
    for index in range(10):
        before, after = (
            sum(w * planes(path, i)[index] for i, w in enumerate(weights)) for path in (source, output)
        )
        assert np.abs(before - after).max() <= 1


def test_what_the_container_cannot_hold_is_refused_before_work(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "font.ttf").write_bytes(b"no font")
    source = make(
        tmp_path / "in.mkv", *gray(0.4), "-c:v", "libx264",
        "-attach", tmp_path / "font.ttf", "-metadata:s:t", "mimetype=font/ttf",
    )  # fmt: skip
    done = colorcli("run", source, "-o", tmp_path / "out.mp4", "--model", toy_model)
    assert done.returncode == 4
    assert b"stream 1 (attachment" in done.stderr
    assert b"Traceback" not in done.stderr
    assert list(tmp_path.glob("*out*")) + list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize(("transfer", "code"), [("smpte2084", 4), ("arib-std-b67", 4), ("bt709", 0)])
def test_hdr_is_refused(tmp_path: Path, toy_model: Path, transfer: str, code: int) -> None:
    tags = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc"
    source = make(tmp_path / "in.mkv", *gray(0.2), "-vf", tags, "-pix_fmt", "yuv420p10le", *FFV1)
    done = colorcli("run", source, "-o", tmp_path / "out.mkv", "--model", toy_model)
    assert done.returncode == code, done.stderr


def test_a_playlist_inside_an_mp4_opens_nothing(tmp_path: Path, toy_model: Path) -> None:
    make(tmp_path / "secret.mkv", *gray(0.2), *FFV1)
    (tmp_path / "innocent.mp4").write_text("ffconcat version 1.0\nfile secret.mkv\n")
    done = colorcli("run", tmp_path / "innocent.mp4", "-o", tmp_path / "out.mkv", "--model", toy_model)
    assert done.returncode == 1
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("name", ["-x.mkv", "a:b.mkv", "%d.mkv", "with space.mkv"])
def test_awkward_names(tmp_path: Path, toy_model: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "plain.mkv", *gray(0.2), *FFV1).rename(tmp_path / name)
    (tmp_path / "out").mkdir()
    done = colorcli("run", "-o", f"out/{name}", "--model", toy_model, "--", f"./{name}")
    assert done.returncode == 0, done.stderr
    assert len(planes(tmp_path / "out" / name)) == 5


def test_color_shots_are_passed_through(tmp_path: Path, toy_model: Path) -> None:
    """A clip joined from gray and color keeps its color planes."""
    source = make(
        tmp_path / "in.mkv", *gray(0.6), "-f", "lavfi", "-i", "mandelbrot=s=160x120:r=25,trim=duration=0.6",
        "-filter_complex", "[0]format=yuv420p[a];[1]format=yuv420p[b];[a][b]concat=n=2", *FFV1,
    )  # fmt: skip
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--shots", tmp_path / "shots.csv")
    for plane in range(3):
        before, after = planes(source, plane)[15:], planes(output, plane)[15:]
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert np.ptp(planes(output, 1)[0]) > 2
    rows = (tmp_path / "shots.csv").read_text().splitlines()
    assert [row.split(",")[0] + row.split(",")[-1] for row in rows[1:]][-1] == "15yes"


@pytest.mark.parametrize(
    ("name", "encoding", "output", "flags"),
    [
        ("in.mkv", ["-c:v", "ffv1"], "out.mkv", []),
        ("in.webm", ["-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p"], "out.mkv", ["--codec", "ffv1"]),
        (
            "in.mov", ["-c:v", "prores_ks", "-pix_fmt", "yuva444p10le"], "out.mov",
            ["--pix-fmt", "yuva444p10le"],
        ),
    ],
)  # fmt: skip
def test_transparency_is_kept(
    tmp_path: Path, toy_model: Path, name: str, encoding: list[str], output: str, flags: list[str]
) -> None:
    source = make(tmp_path / name, *GLASS, *encoding)
    run(toy_model, source, tmp_path / output, *flags)
    with av.open(tmp_path / output) as container:
        alpha = next(container.decode(video=0)).reformat(format="rgba").to_ndarray()[24, :, 3].astype(int)
    assert np.abs(alpha - np.minimum(4 * np.arange(64), 255)).max() <= 3


@pytest.mark.parametrize("output", ["out.mp4", "out.webm", "out.mkv"])
def test_transparency_that_would_be_lost_is_refused(tmp_path: Path, toy_model: Path, output: str) -> None:
    source = make(tmp_path / "in.webm", *GLASS, "-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p")
    done = colorcli("run", source, "-o", tmp_path / output, "--model", toy_model, "-q")
    assert done.returncode == 4
    assert b"yuva420p without loss" in done.stderr
