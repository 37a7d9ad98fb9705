"""Video that nobody here made: joined clocks, late streams, changing formats, unflagged fields, damage."""

import io
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from support.videos import colorcli, gray, make, picture, planes, run, times

from colorcli.video.ffmpeg import find_ffmpeg, version
from colorcli.video.fields import is_top_first

TONE = ["-f", "lavfi", "-i", "sine=d=2"]
MPEG = ["-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", "-c:a", "mp2"]


def sound(path: Path) -> dict[int, list[float]]:
    """Times of the sound packets, by stream."""
    found: dict[int, list[float]] = {}
    with av.open(path, container_options={"probesize": "50000000", "analyzeduration": "100000000"}) as opened:
        for packet in opened.demux(audio=tuple(range(len(opened.streams.audio)))):
            if packet.size:
                found.setdefault(packet.stream_index, []).append(float(packet.pts * packet.time_base))
    return found


def decoded_by_ffmpeg(path: Path) -> int:
    command = [find_ffmpeg(), "-v", "quiet", "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough"]
    done = subprocess.run([*command, "-f", "framecrc", "-"], capture_output=True)
    return sum(not line.startswith(b"#") for line in done.stdout.splitlines())


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
def test_joined_recordings_follow_each_other(tmp_path: Path, toy_model: Path, suffix: str) -> None:
    part = make(tmp_path / f"part.{suffix}", *gray(1.2, "64x48"), "-f", "lavfi", "-i", "sine=d=1.2", *MPEG)
    source = tmp_path / f"in.{suffix}"
    source.write_bytes(part.read_bytes() * 3)
    output = tmp_path / "out.mkv"
    done = colorcli("run", source, "-o", output, "--model", toy_model)
    assert done.returncode == 0, done.stderr
    assert b"clock restarts" in done.stdout + done.stderr
    shown, (heard,) = times(output), sound(output).values()
    assert len(shown) == 90
    assert np.allclose(np.diff(shown), 0.04, atol=0.0011)
    (once,) = sound(part).values()
    assert len(heard) == 3 * len(once)
    assert np.diff(heard).min() > 0
    offset = once[0] - times(part)[0]
    for number in range(3):
        apart = heard[number * len(once)] - shown[number * 30]
        assert apart == pytest.approx(offset, abs=0.0011)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_clock_below_zero_loses_nothing(tmp_path: Path, toy_model: Path, suffix: str) -> None:
    wraps = ["-output_ts_offset", str(2**33 / 90000 - 2.4)]
    source = make(tmp_path / "in.ts", *gray(2, "64x48"), *TONE, *MPEG, *wraps)
    assert times(source)[0] < 0
    output = tmp_path / f"out.{suffix}"
    run(toy_model, source, output)
    assert np.allclose(
        times(output), np.array(times(source)) + times(output)[0] - times(source)[0], atol=0.0011
    )
    (before,), (after,) = sound(source).values(), sound(output).values()
    assert len(before) == len(after)
    assert after[5] - times(output)[0] == pytest.approx(before[5] - times(source)[0], abs=0.0011)


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
def test_sound_that_begins_late_is_kept(tmp_path: Path, toy_model: Path, suffix: str) -> None:
    late = ["-itsoffset", "8", *TONE, "-map", "0", "-map", "1", "-map", "2"]
    inputs = [*gray(11, "64x48"), "-f", "lavfi", "-i", "sine=d=11"]
    source = make(tmp_path / f"in.{suffix}", *inputs, *late, *MPEG)
    output = tmp_path / "out.mkv"
    run(toy_model, source, output)
    before, after = sound(source), sound(output)
    assert len(before) == 2
    assert [len(packets) for packets in after.values()] == [len(packets) for packets in before.values()]


@pytest.mark.parametrize(
    "second",
    [
        ["-pix_fmt", "yuv420p10le"],
        ["-vf", "hue=s=0,scale=96x72", "-pix_fmt", "yuv420p"],
        ["-vf", "hue=s=0,scale=out_range=pc", "-pix_fmt", "yuvj420p"],
    ],
)
def test_a_format_that_changes_midway_becomes_the_first(
    tmp_path: Path, toy_model: Path, second: list[str]
) -> None:
    h264 = ["-c:v", "libx264", "-qp", "10", "-bf", "0"]
    one = make(tmp_path / "1.ts", *gray(0.4, "64x48"), *h264, "-pix_fmt", "yuv420p")
    other = make(tmp_path / "2.ts", *gray(0.4, "64x48"), *h264, *second)
    source, output = tmp_path / "in.ts", tmp_path / "out.mkv"
    source.write_bytes(one.read_bytes() + other.read_bytes())
    done = colorcli("run", source, "-o", output, "--model", toy_model, "--codec", "ffv1")
    assert done.returncode == 0, done.stderr
    assert b"from frame 10 on" in done.stdout + done.stderr
    luma = [plane.astype(float) for plane in planes(output)]
    assert len(luma) == 20
    apart = [np.abs(a - b).mean() for a, b in zip(luma[:10], luma[10:], strict=True)]
    assert max(apart) < (1.5 if "scale=96x72" not in str(second) else 8)


@pytest.mark.parametrize("form", ["ya8", "ya16be"])
def test_gray_with_alpha_keeps_both(tmp_path: Path, toy_model: Path, form: str) -> None:
    shapes = "format=yuva420p,geq=lum=X*3:a=Y*4,format=" + form
    codec = "ffv1" if form != "ya16be" else "png"
    source = make(tmp_path / "in.mkv", *gray(0.2, "64x48"), "-vf", shapes, "-c:v", codec)
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--codec", "ffv1")
    for name, index in (("y", 0), ("a", 3)):
        plane = make(tmp_path / f"{name}.mkv", "-i", source, "-vf", f"extractplanes={name}", "-c:v", "ffv1")
        pairs = list(zip(planes(plane), planes(output, index), strict=True))
        # extractplanes writes a wrong last column of alpha.
        assert all(np.array_equal(a[:, :-1], b[:, :-1]) for a, b in pairs)


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("codec", [["ffv1"], ["prores_ks", "-flags", "+ildct"]])
def test_field_order_is_kept(tmp_path: Path, toy_model: Path, order: str, codec: list[str]) -> None:
    suffix = "mkv" if codec == ["ffv1"] else "mov"
    source = tmp_path / f"in.{suffix}"
    make(source, *gray(0.2, "64x48"), "-vf", f"hue=s=0,format=yuv422p10le,setfield={order}", "-c:v", *codec)
    output = tmp_path / f"out.{suffix}"
    run(toy_model, source, output, "--codec", codec[0])
    assert set(_orders(source)) == set(_orders(output)) == {order == "tff"}


def test_unflagged_fields_are_seen_and_deinterlaced(tmp_path: Path, toy_model: Path) -> None:
    weave = "hue=s=0,format=yuv422p,tinterlace=interleave_top,setfield=prog"
    fields = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=50,trim=duration=0.6"]
    source = make(tmp_path / "in.avi", *fields, "-vf", weave, "-c:v", "huffyuv")
    output, named = tmp_path / "out.avi", tmp_path / "named.avi"
    done = colorcli("run", source, "-o", output, "--model", toy_model, "--deinterlace", "--codec", "ffv1")
    assert done.returncode == 0, done.stderr
    assert b"top field first" in done.stdout + done.stderr
    right = ["-vf", "bwdif=mode=send_frame:parity=tff:deint=all", "-c:v", "ffv1"]
    expected = planes(make(tmp_path / "right.mkv", "-i", source, *right))
    assert all(np.array_equal(a, b) for a, b in zip(planes(output)[1:], expected[1:], strict=True))
    run(toy_model, source, named, "--deinterlace", "--field-order", "bff", "--codec", "ffv1")
    assert not np.array_equal(planes(named)[5], planes(output)[5])


@pytest.mark.parametrize("place", [-3, -1])
def test_frames_after_damage_are_those_of_ffmpeg(tmp_path: Path, toy_model: Path, place: int) -> None:
    source = make(
        tmp_path / "in.mp4", *gray(2, "64x48"), "-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p"
    )
    with av.open(source) as opened:
        last = [packet for packet in opened.demux(video=0) if packet.size][place]
    content = bytearray(source.read_bytes())
    content[last.pos : last.pos + last.size] = b"\xff" * last.size
    source.write_bytes(content)
    output = tmp_path / "out.mkv"
    done = colorcli("run", source, "-o", output, "--model", toy_model)
    assert done.returncode == 0, done.stderr
    assert b"damaged" in done.stdout + done.stderr
    assert len(planes(output)) == decoded_by_ffmpeg(source)


def test_side_data_of_any_kind_is_no_error(tmp_path: Path, toy_model: Path) -> None:
    exif = Image.Exif()
    exif[0x10E] = "a camera's own words"
    frames = []
    for shade in range(5):
        file = io.BytesIO()
        Image.new("L", (64, 48), 40 * shade).save(file, "JPEG", exif=exif)
        frames.append(file.getvalue())
    folder = tmp_path / "in"
    folder.mkdir()
    raw = tmp_path / "raw.mjpeg"
    raw.write_bytes(b"".join(frames))
    source = make(folder / "in.avi", "-f", "mjpeg", "-i", raw, "-c", "copy")
    run(toy_model, folder, tmp_path / "out")
    assert len(planes(tmp_path / "out" / source.name)) == 5


def test_a_video_that_has_color_is_copied_with_a_note(tmp_path: Path, toy_model: Path) -> None:
    color = ["-f", "lavfi", "-i", "testsrc2=s=64x48:d=0.4"]
    source = make(tmp_path / "in.mkv", *color, "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    done = colorcli("run", source, "-o", tmp_path / "out.mkv", "--model", toy_model)
    assert b"--recolor" in done.stdout + done.stderr
    assert (tmp_path / "out.mkv").read_bytes() == source.read_bytes()


def _orders(path: Path) -> list[bool | None]:
    """Of each frame, whether the top field comes first; None if it has no fields."""
    with av.open(path) as opened:
        frames = opened.decode(picture(opened))
        return [is_top_first(frame) if frame.interlaced_frame else None for frame in frames]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "gbrp", "yuv422p10le"])
def test_a_colored_logo_on_film_without_color_keeps_its_colors(
    tmp_path: Path, toy_model: Path, pix_fmt: str
) -> None:
    logo = f"drawbox=120:8:16:10:blue:t=fill,drawbox=126:12:2:2:gray:t=fill,format={pix_fmt}"
    source = make(tmp_path / "in.mkv", *gray(0.4), "-vf", logo, "-c:v", "ffv1")
    done = colorcli("run", source, "-o", tmp_path / "out.mkv", "--model", toy_model, "--codec", "ffv1")
    assert b"--recolor" in done.stdout + done.stderr
    colored = run(toy_model, source, tmp_path / "re.mkv", "--codec", "ffv1", "--recolor")
    assert not colored
    before, after, recolored = (_rgb(tmp_path / name) for name in ("in.mkv", "out.mkv", "re.mkv"))
    inside, outside = np.s_[:, 8:18, 120:136], np.s_[:, 40:, :100]
    assert np.abs(after[inside] - before[inside]).max() <= 3
    assert np.abs(recolored[inside] - before[inside]).mean() > 20
    assert np.abs(after[outside] - recolored[outside]).max() <= 3
    assert np.abs(after[outside] - before[outside]).mean() > 5


def _rgb(path: Path) -> np.ndarray:
    with av.open(path) as opened:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]).astype(int)


def spoiled(source: Path, *shares: float) -> Path:
    """Change bytes in the fifth and sixth packet of the video, at shares of their length."""
    content = bytearray(source.read_bytes())
    with av.open(source) as opened:
        packets = [bytes(packet) for packet in opened.demux(video=0) if packet.size]
    for packet in packets[4:6]:
        place = content.index(packet)
        for share in shares:
            content[place + int(share * len(packet))] ^= 0xFF
    source.write_bytes(content)
    return source


@pytest.mark.parametrize(
    ("name", "codec", "shares"),
    [
        ("in.mkv", ["ffv1", "-level", "3", "-slices", "4", "-slicecrc", "1"], [0.1]),
        ("in.mov", ["mjpeg", "-pix_fmt", "yuvj420p"], [0.6, 0.7, 0.8]),
    ],
)
def test_damage_that_decoders_pass_over_is_named(
    tmp_path: Path, toy_model: Path, name: str, codec: list[str], shares: list[float]
) -> None:
    source = make(tmp_path / name, *gray(0.4, "64x48"), "-c:v", *codec)
    whole = colorcli("run", source, "-o", tmp_path / "1.mkv", "--model", toy_model)
    assert b"damaged" not in whole.stdout + whole.stderr
    spoiled(source, *shares)
    done = colorcli("run", source, "-o", tmp_path / "2.mkv", "--model", toy_model)
    assert done.returncode == 0, done.stderr
    assert b"2 packets are damaged" in done.stdout + done.stderr
    assert len(planes(tmp_path / "2.mkv")) == decoded_by_ffmpeg(source) == 10


def test_damaged_vp9_through_a_pipe_has_the_frames_of_ffmpeg(tmp_path: Path, toy_model: Path) -> None:
    vp9 = ["-c:v", "libvpx-vp9", "-b:v", "200k", "-deadline", "realtime", "-cpu-used", "8"]
    source = make(tmp_path / "in.webm", *gray(0.4, "512x512"), *vp9, "-tile-columns", "1")
    spoiled(source, 0.2, 0.4, 0.6, 0.8)
    done = colorcli("run", "-", "-o", "-", "--model", toy_model, input=source.read_bytes())
    assert done.returncode == 0, done.stderr
    assert b"damaged" in done.stderr
    output = tmp_path / "out.mkv"
    output.write_bytes(done.stdout)
    assert len(planes(output)) == decoded_by_ffmpeg(source) < 10


@pytest.mark.parametrize(("name", "codec"), [("in.mkv", "ffv1"), ("in.flv", "flv")])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, toy_model: Path, name: str, codec: str) -> None:
    source = make(tmp_path / name, *gray(2, "64x48"), "-c:v", codec)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    done = colorcli("run", source, "-o", tmp_path / "out.mkv", "--model", toy_model)
    assert done.returncode == 0, done.stderr
    assert b"of the 2.00 s that its header states" in done.stdout + done.stderr
    assert len(planes(tmp_path / "out.mkv")) == decoded_by_ffmpeg(source) < 45


def test_sound_that_is_cut_off_hides_no_frames(tmp_path: Path, toy_model: Path) -> None:
    short = ["-f", "lavfi", "-i", "sine=d=0.8", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    whole = make(tmp_path / "whole.mp4", *gray(2, "64x48"), *short)
    source = make(tmp_path / "in.mp4", "-i", whole, "-c", "copy", "-movflags", "+frag_keyframe+empty_moov")
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 8 // 10])
    run(toy_model, source, tmp_path / "out.mkv")
    assert len(planes(tmp_path / "out.mkv")) == decoded_by_ffmpeg(source) == 50


@pytest.mark.skipif(version(find_ffmpeg()) < (6, 0), reason="ffmpeg sets rotation from version 6 on")
def test_rotation_is_kept_with_a_codec_that_pyav_does_not_write_to_mov(
    tmp_path: Path, toy_model: Path
) -> None:
    upright = make(tmp_path / "upright.mov", *gray(0.2, "64x48"), "-c:v", "ffv1")
    for number, turn in enumerate((["90"], ["180"], ["270", "-display_hflip"])):
        source, output = tmp_path / f"in{number}.mov", tmp_path / f"out{number}.mov"
        make(source, "-display_rotation", *turn, "-i", upright, "-c", "copy")
        run(toy_model, source, output, "--codec", "ffv1")
        shown = [make(path.with_suffix(".nut"), "-i", path, "-c:v", "ffv1") for path in (source, output)]
        assert all(np.array_equal(*pair) for pair in zip(*map(planes, shown), strict=True))
    done = colorcli("run", source, "-o", tmp_path / "out.avi", "--model", toy_model)
    assert b"shown turned" in done.stdout + done.stderr


def test_mxf_loses_no_frames_to_short_sound(tmp_path: Path, toy_model: Path) -> None:
    sound = ["-f", "lavfi", "-i", "sine=r=48000:d=0.4", "-c:v", "mpeg2video", "-c:a", "pcm_s16le"]
    source = make(tmp_path / "in.mov", *gray(0.8, "64x48"), *sound)
    output = tmp_path / "out.mxf"
    refused = colorcli("run", source, "-o", output, "--model", toy_model)
    assert refused.returncode == 4
    assert b"before the picture" in refused.stderr
    run(toy_model, source, output, "--drop", "1")
    assert len(planes(output)) == 20
    long = make(tmp_path / "long.mov", *gray(0.2, "64x48"), *sound)
    done = colorcli("run", long, "-o", output, "--model", toy_model, "--overwrite")
    assert b"longer than the picture" in done.stdout + done.stderr
    assert len(planes(output)) == 5


@pytest.mark.parametrize(("suffix", "is_refused"), [("mxf", True), ("ogv", False), ("y4m", False)])
def test_containers_without_times_move_no_frame_silently(
    tmp_path: Path, toy_model: Path, suffix: str, is_refused: bool
) -> None:
    sound = ["-f", "lavfi", "-i", "sine=r=48000:d=0.8", "-c:a", "pcm_s16le"] if is_refused else []
    uneven = ["-vf", "hue=s=0,select=not(between(n\\,5\\,12))", "-fps_mode", "vfr", "-c:v", "mpeg4"]
    source = make(tmp_path / "in.mkv", *gray(0.8, "64x48"), *sound, *uneven)
    done = colorcli("run", source, "-o", tmp_path / f"out.{suffix}", "--model", toy_model)
    assert done.returncode == (4 if is_refused else 0), done.stderr
    assert b"off an even rate" in done.stdout + done.stderr


def test_sound_that_a_container_takes_as_data_is_refused(tmp_path: Path, toy_model: Path) -> None:
    sound = ["-f", "lavfi", "-i", "sine=d=0.2", "-c:v", "mpeg4", "-c:a", "pcm_s16le"]
    source = make(tmp_path / "in.mov", *gray(0.2, "64x48"), *sound)
    refused = colorcli("run", source, "-o", tmp_path / "out.ts", "--model", toy_model)
    assert refused.returncode == 4
    assert b"stream 1 (audio pcm_s16le) cannot be kept in mpegts" in refused.stderr


def test_a_bare_stream_can_be_decoded(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mov", *gray(0.2, "64x48"), "-c:v", "mpeg4")
    run(toy_model, source, tmp_path / "out.h264")
    assert decoded_by_ffmpeg(tmp_path / "out.h264") == 5


def test_times_that_do_not_rise_are_named(tmp_path: Path, toy_model: Path) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.4, "64x48"), "-c:v", "ffv1", "-g", "1")
    # A simple block of track 1: its time, in milliseconds, is the number after the track's.
    assert source.read_bytes().count(b"\x81\x00\x78\x80") == 1
    source.write_bytes(source.read_bytes().replace(b"\x81\x00\x78\x80", b"\x81\x00\x28\x80"))
    done = colorcli("run", source, "-o", tmp_path / "out.mkv", "--model", toy_model)
    assert done.returncode == 0, done.stderr
    assert b"frame 3 is not later than the one before" in done.stdout + done.stderr
    assert len(planes(tmp_path / "out.mkv")) == 10


def test_sound_of_an_unknown_codec_is_refused_by_name(tmp_path: Path, toy_model: Path) -> None:
    sound = ["-f", "lavfi", "-i", "sine=d=0.2", "-c:v", "mjpeg", "-c:a", "pcm_s16le"]
    source = make(tmp_path / "in.mov", *gray(0.2, "64x48"), *sound)
    source.write_bytes(source.read_bytes().replace(b"sowt", b"zzzz"))
    done = colorcli("run", source, "-o", tmp_path / "out.mp4", "--model", toy_model)
    assert done.returncode == 4, done.stderr
    assert b"audio of an unknown codec" in done.stderr
    assert b"--drop 1" in done.stderr
