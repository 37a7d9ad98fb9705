"""A film's output against its input, by ffprobe and ffmpeg."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FFMPEG = os.environ.get("NET_FFMPEG") or shutil.which("ffmpeg") or "ffmpeg"
FFPROBE = os.environ.get("NET_FFPROBE") or shutil.which("ffprobe") or "ffprobe"
WIDE = ["-probesize", "100M", "-analyzeduration", "200M"]
SIZE = 64
"""Luma is compared at SIZE x SIZE, which lossy coding hardly changes."""
LUMA_APART = 4.0
"""Mean difference of a frame's luma, in code values of 255."""
OFFSET = 0.045
"""Seconds by which sound may move against the picture: a packet that primes the decoder, or a frame where
readers take the times of B-frames in AVI differently."""
STREAM_FACTS = ("codec_name", "channels", "sample_rate", "width", "height")
DISPOSITIONS = ("default", "forced", "comment", "hearing_impaired", "attached_pic")


def check_film(source: Path, output: Path, *, copied: bool) -> Iterator[str]:
    """What is wrong with the output, in words; nothing if all is right."""
    if not shutil.which(FFPROBE) or not shutil.which(FFMPEG):
        return
    if copied and source.suffix == output.suffix and source.read_bytes() == output.read_bytes():
        return
    old, new = _probe(source), _probe(output)
    if output.suffix == ".flv":  # its streams have no order but that of their first packets
        for probe in (old, new):
            probe["streams"].sort(key=lambda stream: str(stream.get("codec_type")))
    yield from _stream_faults(old, new)
    yield from _frame_faults(_frames(source), _frames(output))
    # A packet without bytes repeats a frame of Theora; ffmpeg leaves its place empty.
    repeats = any(stream.get("codec_name") == "theora" for stream in old["streams"])
    yield from _luma_faults(_luma(source, fill_gaps=repeats), _luma(output))
    yield from _packet_faults(source, output, old, new)
    if len(old["chapters"]) != len(new["chapters"]):
        yield f"{len(old['chapters'])} chapters became {len(new['chapters'])}"


def _stream_faults(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    kinds = [[stream.get("codec_type") for stream in probe["streams"]] for probe in (old, new)]
    if kinds[0] != kinds[1]:
        yield f"streams {kinds[0]} became {kinds[1]}"
        return
    for index, (before, after) in enumerate(zip(old["streams"], new["streams"], strict=True)):
        facts = STREAM_FACTS if before["codec_type"] != "video" else ("width", "height")
        for fact in facts:
            if before.get(fact) != after.get(fact):
                yield f"stream {index}: {fact} {before.get(fact)} became {after.get(fact)}"
        for name in DISPOSITIONS:
            if before["disposition"].get(name) != after["disposition"].get(name):
                yield f"stream {index}: disposition {name} changed"
        language = before.get("tags", {}).get("language")
        if language not in (None, "und", after.get("tags", {}).get("language")):
            yield f"stream {index}: language {language} became {after.get('tags', {}).get('language')}"
        if before["codec_type"] == "video":
            aspects = [stream.get("sample_aspect_ratio", "1:1") for stream in (before, after)]
            square = ("1:1", "0:1")
            if aspects[0] != aspects[1] and not (aspects[0] in square and aspects[1] in square):
                yield f"stream {index}: sample aspect {aspects[0]} became {aspects[1]}"


def _frame_faults(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    fields = [
        [
            (frame.get("interlaced_frame"), frame.get("top_field_first"))
            for frame in frames
            if _is_field(frame)
        ]
        for frames in (old, new)
    ]
    if fields[0] and fields[0] != fields[1]:
        yield f"fields {fields[0][0]} became {fields[1][0] if fields[1] else 'none'}"
    times = [[float(frame["pts_time"]) for frame in frames if "pts_time" in frame] for frames in (old, new)]
    if len(times[0]) == len(times[1]) > 1:
        steps = [np.diff(part) for part in times]
        sound = (steps[0] > 0) & (steps[0] < 10)
        if sound.any() and np.abs(steps[0] - steps[1])[sound].max() > 0.0021:
            yield f"frame times move by {np.abs(steps[0] - steps[1])[sound].max():.4f} s"
        if (steps[1] <= 0).any():
            yield "frame times do not rise"
    captions = [sum(_has_captions(frame) for frame in frames) for frames in (old, new)]
    if captions[0] != captions[1]:
        yield f"{captions[0]} frames with closed captions became {captions[1]}"


def _is_field(frame: dict[str, Any]) -> bool:
    return bool(frame.get("interlaced_frame"))


def _has_captions(frame: dict[str, Any]) -> bool:
    return any(
        "Closed Captions" in part.get("side_data_type", "") for part in frame.get("side_data_list", [])
    )


def _luma_faults(old: NDArray[np.uint8], new: NDArray[np.uint8]) -> Iterator[str]:
    if len(old) != len(new):
        yield f"{len(old)} frames became {len(new)}"
    count = min(len(old), len(new))
    apart = np.abs(old[:count].astype(int) - new[:count]).mean(axis=(1, 2)) if count else np.zeros(1)
    if apart.max() > LUMA_APART:
        yield f"luma of frame {int(apart.argmax())} differs by {apart.max():.1f}"


def _packet_faults(source: Path, output: Path, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    # The last frame, as AVI shows the first one early where the picture begins late.
    ends = [_last_time(path) for path in (source, output)]
    for kind in ("a", "s"):
        before, after = (_packets(path, kind) for path in (source, output))
        for index, (one, other) in enumerate(zip(before, after, strict=False)):
            # PCM is cut into packets of other lengths.
            sizes = [sum(int(packet["size"]) for packet in packets) for packets in (one, other)]
            if len(one) != len(other) and sizes[0] != sizes[1]:
                yield f"{kind}:{index}: {len(one)} packets became {len(other)}"
            offsets = [
                [float(packet["pts_time"]) - end for packet in packets if "pts_time" in packet]
                for packets, end in zip((one, other), ends, strict=True)
            ]
            if all(offsets) and abs(offsets[0][0] - offsets[1][0]) > OFFSET:
                moved = offsets[1][0] - offsets[0][0]
                yield f"{kind}:{index}: moves by {moved:.3f} s against the picture"
            elif len(offsets[0]) == len(offsets[1]) > 0:
                apart = np.abs(np.subtract(*offsets))
                if apart.max() > OFFSET:
                    yield f"{kind}:{index}: packet {apart.argmax()} moves by {apart.max():.3f} s"


def _last_time(path: Path) -> float:
    name = "best_effort_timestamp_time"
    return max((float(frame[name]) for frame in _frames(path) if name in frame), default=0.0)


def _packets(path: Path, kind: str) -> list[list[dict[str, Any]]]:
    entries = ["-select_streams", kind, "-show_entries", "packet=stream_index,size,pts_time"]
    found = _ffprobe(path, *entries).get("packets", [])
    packets = [packet for packet in found if int(packet["size"])]
    indices = sorted({packet["stream_index"] for packet in packets})
    return [[packet for packet in packets if packet["stream_index"] == index] for index in indices]


def _probe(path: Path) -> dict[str, Any]:
    probe = _ffprobe(path, "-show_streams", "-show_chapters")
    return {"streams": probe.get("streams", []), "chapters": probe.get("chapters", [])}


def _frames(path: Path) -> list[dict[str, Any]]:
    frames = _ffprobe(path, "-select_streams", "v:0", "-show_frames").get("frames", [])
    return [frame for frame in frames if frame.get("media_type") == "video"]


def _ffprobe(path: Path, *show: str) -> dict[str, Any]:
    """What ffprobe says, nothing if the file makes it fail."""
    command = [FFPROBE, "-v", "quiet", *WIDE, *show, "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True)
    try:
        return dict(json.loads(done.stdout.decode(errors="replace")))
    except ValueError:
        return {}


def _luma(path: Path, *, fill_gaps: bool = False) -> NDArray[np.uint8]:
    """Every frame's luma [n, SIZE, SIZE] at full range, as ffmpeg shows it."""
    chain = f"scale={SIZE}:{SIZE}:flags=area:out_range=pc,format=yuvj444p,extractplanes=y"
    if fill_gaps:
        chain += ",fps=source_fps:round=down"
    command = [FFMPEG, "-v", "quiet", "-noautorotate", *WIDE, "-i", str(path), "-map", "0:V:0", "-vf", chain]
    done = subprocess.run([*command, "-fps_mode", "passthrough", "-f", "rawvideo", "-"], capture_output=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, SIZE, SIZE)
