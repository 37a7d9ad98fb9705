"""Videos for tests, the command line run on them, and comparisons of what is in two files."""

import subprocess
import zlib
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import av
import numpy as np
from support.cli import run_cli

from colorcli.video.ffmpeg import find_ffmpeg

GLASS = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.2,hue=s=0,format=yuva420p,geq=lum=lum(X\\,Y):a=4*X"]
"""Arguments for a gray picture whose alpha rises from left to right."""
COVER = av.stream.Disposition.attached_pic


def make(path: Path, *arguments: str | Path) -> Path:
    """Have ffmpeg write a video."""
    subprocess.run([find_ffmpeg(), "-y", "-v", "error", *map(str, arguments), str(path)], check=True)
    return path


def gray(seconds: float = 1, size: str = "160x120", rate: str = "25", source: str = "testsrc2") -> list[str]:
    """Arguments for a moving gray picture."""
    return ["-f", "lavfi", "-i", f"{source}=s={size}:r={rate},trim=duration={seconds},hue=s=0"]


def colorcli(*arguments: object, input: bytes | None = None, **options: Any) -> CompletedProcess[bytes]:
    """Run the command line."""
    return run_cli(*arguments, stdin=input, **options)


def run(model: Path, source: object, output: object, *flags: object, **kwargs: Any) -> bytes:
    """Colorize, which must succeed; what came out on standard output."""
    done = colorcli("run", source, "-o", output, "--model", model, *flags, **kwargs)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def picture(container: av.container.InputContainer) -> av.video.stream.VideoStream:
    return next(stream for stream in container.streams.video if not stream.disposition & COVER)


def planes(path: Path, index: int = 0) -> list[np.ndarray[Any, Any]]:
    """One plane of every frame, as code values [H, W]."""
    with av.open(path) as container:
        return [plane_of(frame, index) for frame in container.decode(picture(container))]


def plane_of(frame: av.VideoFrame, index: int) -> np.ndarray[Any, Any]:
    plane = frame.planes[index]
    deep = frame.format.components[0].bits > 8
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows.view(np.uint16 if deep else np.uint8)[: plane.height, : plane.width].copy()


def times(path: Path) -> list[float]:
    with av.open(path) as container:
        return [frame.time for frame in container.decode(picture(container))]


def bitstream(path: Path) -> list[tuple[int, int | None, int | None, bytes]]:
    """All packets: stream, pts, dts and bytes. Two Matroska files differ by a random number in the header."""
    with av.open(path) as container:
        packets = (packet for packet in container.demux() if packet.size)
        return [(packet.stream_index, packet.pts, packet.dts, bytes(packet)) for packet in packets]


def differences(before: Path, after: Path, *, tags: bool = True) -> list[str]:
    """Everything that differs between two videos, except codec and samples of the picture."""
    found: list[str] = []

    def compare(name: str, one: Any, other: Any) -> None:
        if one != other:
            found.append(f"{name}: {one} became {other}")

    with av.open(before) as one, av.open(after) as other:
        compare("streams", *([s.type for s in video.streams] for video in (one, other)))
        compare("chapters", _chapters(one), _chapters(other))
        for stream, copy in zip(one.streams, other.streams, strict=False):
            compare(f"disposition of {stream.index}", stream.disposition, copy.disposition)
            if tags:
                compare(f"tags of {stream.index}", _own(stream.metadata), _own(copy.metadata))
        if tags:
            kept = _own(other.metadata)
            compare("tags", _own(one.metadata), {k: v for k, v in kept.items() if "colorcli" not in v})
    ours, theirs = _packets(before), _packets(after)
    for index in ours:
        compare(f"packets of {index}", [p[0] for p in ours[index]], [p[0] for p in theirs.get(index, [])])
        for (_, time), (_, copied) in zip(ours[index], theirs.get(index, []), strict=False):
            if abs(time - copied) > 1e-3:
                found.append(f"time in {index}: {time} became {copied}")
    found += _picture_differences(before, after)
    return found


def _picture_differences(before: Path, after: Path) -> list[str]:
    found = []
    one, other = times(before), times(after)
    if len(one) != len(other):
        found.append(f"frames: {len(one)} became {len(other)}")
    found += [
        f"frame {i}: {a} became {b}"
        for i, (a, b) in enumerate(zip(one, other, strict=False))
        if abs(a - b) > 1e-3
    ]
    facts, copied = _facts(before), _facts(after)
    found += [f"{name}: {facts[name]} became {copied[name]}" for name in facts if facts[name] != copied[name]]
    return found


def _facts(path: Path) -> dict[str, Any]:
    with av.open(path) as container:
        stream = picture(container)
        frame = next(container.decode(stream))
        return {
            "size": (frame.width, frame.height),
            "rotation": frame.rotation,
            "range": frame.color_range == 2,
            "matrix": frame.colorspace,
            "primaries": frame.color_primaries,
            "transfer": frame.color_trc,
            "interlaced": frame.interlaced_frame,
            "aspect": stream.sample_aspect_ratio or 1,
        }


def _packets(path: Path) -> dict[int, list[tuple[int, float]]]:
    """Checksum and time of every packet of every stream but the picture."""
    found: dict[int, list[tuple[int, float]]] = {}
    with av.open(path) as container:
        main = picture(container).index
        for packet in container.demux():
            if packet.size and packet.stream_index != main:
                time = float(packet.pts * packet.time_base) if packet.pts is not None else 0.0
                found.setdefault(packet.stream_index, []).append((zlib.crc32(bytes(packet)), time))
    return found


def _chapters(container: av.container.InputContainer) -> list[tuple[float, float, str]]:
    return [
        (
            round(float(chapter["start"] * chapter["time_base"]), 3),
            round(float(chapter["end"] * chapter["time_base"]), 3),
            chapter["metadata"].get("title", ""),
        )
        for chapter in container.chapters()
    ]


def _own(tags: dict[str, str]) -> dict[str, str]:
    """Tags of a video without those that every muxer writes."""
    written = (
        "encoder",
        "duration",
        "vendor_id",
        "handler_name",
        "major_brand",
        "minor_version",
        "compatible",
    )
    return {k.lower(): v for k, v in tags.items() if not k.lower().startswith(written)}
