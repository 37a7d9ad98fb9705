"""What containers hold besides frames: aspect ratio, covers, codecs that PyAV refuses, streams left out."""

from pathlib import Path

import av
import numpy as np
import pytest
from support.videos import COVER, colorcli, gray, make, picture, planes, run, times

from colorcli.video.formats import is_video
from colorcli.video.hidden_content import lost_matroska_elements

ANAMORPHIC = ["-vf", "hue=s=0,setsar=64/45", "-pix_fmt", "yuv420p", "-c:v", "ffv1"]


def aspect(path: Path) -> float:
    with av.open(path) as container:
        return float(picture(container).sample_aspect_ratio or 1)


def audio_packets(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize("name", ["out.webm", "out.nut", "out.avi", "out.mkv", "out.mov"])
def test_the_aspect_ratio_is_kept(tmp_path: Path, toy_model: Path, name: str) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.2), *ANAMORPHIC)
    run(toy_model, source, tmp_path / name)
    assert aspect(tmp_path / name) == pytest.approx(64 / 45, rel=5e-3)
    assert times(tmp_path / name) == pytest.approx(times(source), abs=2e-3)


@pytest.mark.parametrize("kind", ["y4m", "nut", "mkv", "webm"])
def test_a_pipe_states_the_aspect_ratio(tmp_path: Path, toy_model: Path, kind: str) -> None:
    source = make(tmp_path / "in.mkv", *gray(0.2), *ANAMORPHIC)
    output = tmp_path / f"out.{kind}"
    output.write_bytes(run(toy_model, source, "-", "--format", kind))
    assert aspect(output) == pytest.approx(64 / 45, rel=5e-3)
    assert len(planes(output)) == 5


@pytest.mark.parametrize("anamorphic", [False, True])
def test_covers_in_matroska_are_attachments(tmp_path: Path, toy_model: Path, anamorphic: bool) -> None:
    cover = make(tmp_path / "cover.jpg", *gray(0.04), "-frames:v", "1")
    font = tmp_path / "font.ttf"
    font.write_bytes(b"not a font")
    source = make(
        tmp_path / "in.mkv", *gray(0.2), *(ANAMORPHIC if anamorphic else ANAMORPHIC[2:]),
        "-attach", cover, "-attach", font,
        "-metadata:s:1", "mimetype=image/jpeg", "-metadata:s:1", "filename=poster.jpg",
        "-metadata:s:2", "mimetype=font/ttf", "-metadata:s:2", "filename=font.ttf",
    )  # fmt: skip
    run(toy_model, source, tmp_path / "out.mkv")
    with av.open(tmp_path / "out.mkv") as container:
        attached = [stream for stream in container.streams if stream.disposition & COVER]
        assert [stream.metadata["filename"] for stream in attached] == ["poster.jpg"]
        assert len(container.streams.video) == 2
        assert [stream.metadata["filename"] for stream in container.streams.attachments] == ["font.ttf"]
        assert bytes(next(p for p in container.demux(attached[0]) if p.size)) == cover.read_bytes()


def test_a_cover_of_mp4_becomes_an_attachment(tmp_path: Path, toy_model: Path) -> None:
    cover = make(tmp_path / "cover.jpg", *gray(0.04), "-frames:v", "1")
    source = make(
        tmp_path / "in.mp4", *gray(0.2), "-i", cover, "-map", "0", "-map", "1", "-c:v:0", "mpeg4",
        "-c:v:1", "copy", "-disposition:v:1", "attached_pic",
    )  # fmt: skip
    run(toy_model, source, tmp_path / "out.mkv")
    with av.open(tmp_path / "out.mkv") as container:
        assert [bool(stream.disposition & COVER) for stream in container.streams] == [False, True]


@pytest.mark.parametrize(
    ("codec", "given", "wanted"),
    [
        ("wmav1", "in.wmv", "out.mkv"),
        ("wmav2", "in.wmv", "out.mkv"),
        ("adpcm_ima_wav", "in.avi", "out.mkv"),
        ("adpcm_ima_wav", "in.avi", "out.avi"),
        ("adpcm_ms", "in.avi", "out.mkv"),
        ("pcm_mulaw", "in.avi", "out.mkv"),
        ("pcm_alaw", "in.avi", "out.mkv"),
    ],
)
def test_sound_that_ffmpeg_copies_is_kept(
    tmp_path: Path, toy_model: Path, codec: str, given: str, wanted: str
) -> None:
    source = make(
        tmp_path / given, *gray(1), "-f", "lavfi", "-i", "sine=d=1:r=44100", "-map", "0", "-map", "1",
        "-c:v", "mjpeg", "-c:a", codec,
    )  # fmt: skip
    output = tmp_path / wanted
    run(toy_model, source, output)
    assert audio_packets(output) == audio_packets(source)
    assert len(planes(output)) == len(planes(source))


def test_sound_that_ffmpeg_copies_is_trimmed(tmp_path: Path, toy_model: Path) -> None:
    source = make(
        tmp_path / "in.avi", *gray(2), "-f", "lavfi", "-i", "sine=d=2:r=44100", "-map", "0", "-map", "1",
        "-c:v", "mjpeg", "-c:a", "adpcm_ima_wav",
    )  # fmt: skip
    output = tmp_path / "out.mkv"
    run(toy_model, source, output, "--start", "1", "--end", "1.5")
    with av.open(output) as container:
        found = [p.pts * p.time_base for p in container.demux(audio=0) if p.size]
    assert -0.05 < found[0] < 0.05
    assert 0.4 < found[-1] < 0.55


def test_webvtt_of_matroska_is_kept(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "words.vtt").write_text("WEBVTT\n\n00:00.100 --> 00:00.600\nHello\n")
    source = make(
        tmp_path / "in.mkv", *gray(1), "-i", tmp_path / "words.vtt", "-map", "0", "-map", "1", "-c:s", "copy"
    )
    run(toy_model, source, tmp_path / "out.mkv")
    with av.open(tmp_path / "out.mkv") as container:
        assert [bytes(p) for p in container.demux(subtitles=0) if p.size] == [b"Hello"]


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("v210", "yuv422p10le"), ("rawvideo", "uyvy422"), ("qtrle", "rgb24"), ("huffyuv", "yuv422p")],
)
def test_lossless_video_in_mov_stays_lossless(
    tmp_path: Path, toy_model: Path, codec: str, pix_fmt: str
) -> None:
    source = make(tmp_path / "in.mov", *gray(0.2), "-c:v", codec, "-pix_fmt", pix_fmt)
    output = tmp_path / "out.mov"
    run(toy_model, source, output)
    with av.open(output) as container:
        assert picture(container).codec_context.name == "ffv1"
    assert times(output) == pytest.approx(times(source), abs=1e-3)
    if pix_fmt.startswith("yuv"):
        assert all(np.array_equal(*pair) for pair in zip(planes(source), planes(output), strict=True))


def test_theora_stays_theora(tmp_path: Path, toy_model: Path) -> None:
    source = make(
        tmp_path / "in.ogv",
        *gray(1),
        "-f",
        "lavfi",
        "-i",
        "sine=d=1",
        "-c:v",
        "libtheora",
        "-c:a",
        "libvorbis",
    )
    run(toy_model, source, tmp_path / "out.ogv")
    with av.open(tmp_path / "out.ogv") as container:
        assert [stream.codec_context.name for stream in container.streams] == ["theora", "vorbis"]
    assert len(planes(tmp_path / "out.ogv")) == 25


@pytest.mark.parametrize("name", ["out.ogv", "out.mkv"])
def test_frames_that_theora_repeats_are_kept(tmp_path: Path, toy_model: Path, name: str) -> None:
    source = make(tmp_path / "in.ogv", *gray(0.8, "64x48", source="color"), "-c:v", "libtheora")
    with av.open(source) as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.pts is not None]
    assert sizes.count(0) > 9
    done = colorcli("run", source, "-o", tmp_path / name, "--model", toy_model, "--json")
    assert done.returncode == 0, done.stderr
    assert b"damaged" not in done.stdout
    assert f'"frames": {len(sizes)}'.encode() in done.stdout
    with av.open(tmp_path / name) as container:
        pts = [p.pts * p.time_base for p in container.demux(video=0) if p.pts is not None]
    assert sorted(pts) == pytest.approx([n / 25 for n in range(len(sizes))], abs=1e-3)


def test_a_stream_can_be_left_out(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,600\nHello\n")
    source = make(
        tmp_path / "in.mkv", *gray(0.4), "-f", "lavfi", "-i", "sine=d=0.4", "-i", tmp_path / "words.srt",
        "-map", "0", "-map", "1", "-map", "2", "-c:v", "ffv1", "-c:a", "mp3",
    )  # fmt: skip
    refused = colorcli("run", source, "-o", tmp_path / "out.avi", "--model", toy_model)
    assert refused.returncode != 0
    assert b"name the output .mkv" in refused.stderr
    assert b"--drop 2" in refused.stderr
    for dropped, left in (("2", ["video", "audio"]), ("subtitle,1", ["video"])):
        run(toy_model, source, tmp_path / "out.mkv", "--drop", dropped, "--overwrite")
        with av.open(tmp_path / "out.mkv") as container:
            assert [stream.type for stream in container.streams] == left
    run(toy_model, source, tmp_path / "out.mkv", "--audio", "none", "--overwrite")
    with av.open(tmp_path / "out.mkv") as container:
        assert [stream.type for stream in container.streams] == ["video", "subtitle"]
    for flag, wrong in (("--drop", "0"), ("--drop", "7"), ("--drop", "audio"), ("--audio", "mp3")):
        done = colorcli("run", source, "-o", tmp_path / "w.mkv", "--model", toy_model, flag, wrong)
        assert done.returncode == 2
        assert f"{flag} {wrong}".encode() in done.stderr


@pytest.mark.parametrize(("name", "audio"), [("out.mp4", "aac"), ("out.webm", "opus")])
def test_sound_that_does_not_fit_is_encoded(
    tmp_path: Path, toy_model: Path, name: str, audio: str, loud_film: Path
) -> None:
    run(toy_model, loud_film, tmp_path / name, "--audio", audio)
    with av.open(tmp_path / name) as container:
        sound = container.streams.audio
        assert [stream.codec_context.name for stream in sound] == [audio] * 2
        assert [stream.codec_context.channels for stream in sound] == [1, 6]
        assert sound[0].language == "deu"
    assert first_sound(tmp_path / name) == pytest.approx(0.5, abs=0.01)
    assert times(tmp_path / name) == pytest.approx(times(loud_film), abs=2e-3)


def test_encoded_sound_is_trimmed_with_the_film(tmp_path: Path, toy_model: Path, loud_film: Path) -> None:
    run(toy_model, loud_film, tmp_path / "out.mov", "--audio", "aac", "--start", "0.2", "--end", "0.8")
    assert first_sound(tmp_path / "out.mov") == pytest.approx(0.3, abs=0.01)
    assert len(times(tmp_path / "out.mov")) == 15


def test_a_refusal_names_the_encoding_that_fits(tmp_path: Path, toy_model: Path, loud_film: Path) -> None:
    done = colorcli("run", loud_film, "-o", tmp_path / "out.webm", "--model", toy_model)
    assert done.returncode == 4
    assert b"encode it with --audio opus" in done.stderr
    piped = colorcli("run", loud_film, "-o", "-", "--model", toy_model, "--audio", "aac")
    assert (piped.returncode, piped.stdout) == (2, b"")


def first_sound(path: Path) -> float:
    """When the first stream of sound becomes loud, in seconds."""
    with av.open(path) as container:
        for frame in container.decode(audio=0):
            loud = np.abs(frame.to_ndarray().astype(float)).max(axis=0) > 0.05
            if loud.any():
                return float(frame.time + loud.argmax() / frame.sample_rate)
    raise AssertionError("silence")


@pytest.fixture(scope="module")
def loud_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of film with sound that begins after half of it, in one channel and in six."""
    tone = "aevalsrc=exprs='0.9*sin(2000*t)*gte(t,0.5)':d=1:s=48000"
    return make(
        tmp_path_factory.mktemp("loud") / "in.mkv", *gray(1, "64x48"), "-f", "lavfi", "-i", tone,
        "-map", "0", "-map", "1", "-map", "1", "-c:v", "ffv1", "-c:a:0", "flac", "-c:a:1", "ac3",
        "-ac:a:1", "6", "-metadata:s:a:0", "language=deu",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "muxer"),
    [
        ("A.M2T", "mpegts"), ("a.TOD", "mpegts"), ("MOV001.MOD", "vob"), ("a.qt", "mov"), ("a.ogg", "ogg"),
        ("a.m1v", "mpeg1video"), ("a.divx", "avi"), ("a.gif", "gif"), ("a.vob", "vob"), ("a.mkv", "matroska"),
        ("a.mxf", "mxf"), ("a.dv", "dv"),
    ],
)  # fmt: skip
def test_film_is_recognized_by_content(tmp_path: Path, toy_model: Path, name: str, muxer: str) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    codec = {
        "ogg": "libtheora", "gif": "gif", "avi": "mpeg4", "mpeg1video": "mpeg1video", "matroska": "ffv1",
        "dv": "dvvideo",
    }  # fmt: skip
    size = "720x576" if muxer == "dv" else "160x120"
    source = make(folder / name, *gray(0.4, size), "-c:v", codec.get(muxer, "mpeg2video"), "-f", muxer)
    if muxer != "mpeg1video":
        assert is_video(source.read_bytes()[:4096])
    run(toy_model, folder, tmp_path / "out")
    output = tmp_path / "out" / ("a.mkv" if name == "a.gif" else name)  # GIF has too few colors
    with av.open(output) as container:
        assert sum(1 for _ in container.decode(video=0)) == 10


def test_statistics_of_the_source_are_dropped(tmp_path: Path, toy_model: Path) -> None:
    source = make(
        tmp_path / "in.mkv", *gray(0.2), "-c:v", "ffv1", "-metadata:s:0", "BPS=77", "-metadata:s:0",
        "_STATISTICS_TAGS=BPS", "-metadata:s:0", "_STATISTICS_WRITING_APP=x", "-metadata:s:0", "title=Scan",
    )  # fmt: skip
    run(toy_model, source, tmp_path / "out.mkv")
    with av.open(tmp_path / "out.mkv") as container:
        tags = container.streams[0].metadata
    assert tags["title"] == "Scan"
    assert not {"BPS", "_STATISTICS_TAGS", "_STATISTICS_WRITING_APP"} & set(tags)


CAPTIONS = "fc9420" + "fd0000"
"""cc_data of ATSC A/53 part 4: a pair of EIA-608 bytes of each field, the second one empty."""


def captions(path: Path) -> list[bytes]:
    """Those of each frame that has some."""
    with av.open(path) as container:
        found = [list(iter(frame.side_data)) for frame in container.decode(video=0)]
    return [bytes(one) for entries in found for one in entries if one.type.name == "A53_CC"]


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "mpeg2video"])
def test_captions_inside_the_picture_are_kept(tmp_path: Path, toy_model: Path, encoder: str) -> None:
    plain = make(tmp_path / "plain.ts", *gray(0.4, "64x48"), "-c:v", "mpeg2video", "-bf", "2")
    user_data = bytes.fromhex("000001b2" + "47413934" + "03" + "42ff" + CAPTIONS + "ff")
    first_slice = b"\0\0\1\1"
    source = tmp_path / "in.ts"
    with av.open(plain) as old, av.open(source, "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                with_captions = av.Packet(bytes(packet).replace(first_slice, user_data + first_slice, 1))
                with_captions.pts, with_captions.dts = packet.pts, packet.dts
                with_captions.time_base, with_captions.stream = packet.time_base, stream
                new.mux(with_captions)
    assert captions(source) == [bytes.fromhex(CAPTIONS)] * 10
    run(toy_model, source, tmp_path / "out.mkv", "--codec", encoder)
    assert captions(tmp_path / "out.mkv") == captions(source)
    if encoder == "libx264":
        dry = colorcli(
            "run", source, "-o", tmp_path / "no.mkv", "--dry-run", "--codec", "ffv1", "--model", toy_model
        )
        assert b"closed captions" in dry.stdout + dry.stderr


def test_what_matroska_loses_is_named(tmp_path: Path) -> None:
    def element(kind: str, *content: bytes) -> bytes:
        payload = b"".join(content)
        return bytes.fromhex(kind) + (len(payload) | 1 << 56).to_bytes(8, "big") + payload

    name = element("80", element("85", b"Reel"), element("437c", b"fre"))
    video = element("e0", element("54aa", b"\4"))
    track = element("ae", element("22b59d", b"pt-BR"), video)
    chapters = element("1043a770", element("45b9", element("b6", name, element("b6", name))))
    path = tmp_path / "in.mkv"
    path.write_bytes(
        element("1a45dfa3", b"") + element("18538067", element("1654ae6b", track), bytes(0), chapters)
    )
    lost = "; ".join(lost_matroska_elements(path))
    assert all(word in lost for word in ("BCP 47", "PixelCrop", "nested chapters", "languages of chapter"))


def test_plain_matroska_loses_nothing(tmp_path: Path) -> None:
    assert list(lost_matroska_elements(make(tmp_path / "in.mkv", *gray(0.2), "-c:v", "ffv1"))) == []


def test_live_matroska_loses_nothing(tmp_path: Path) -> None:
    """The segment and the clusters of a live stream have no known size."""
    live = make(tmp_path / "in.mkv", *gray(0.2), "-c:v", "ffv1", "-live", "1")
    assert list(lost_matroska_elements(live)) == []
