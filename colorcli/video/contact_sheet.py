"""A contact sheet: the finished film at a glance."""

from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from colorcli.errors import InputError
from colorcli.files import atomic_write
from colorcli.video.info import open_video, video_stream

COLUMNS, ROWS = 6, 5
WIDTH = 320
"""Pixels across each picture."""
GAP = 8


def write_contact_sheet(film: Path, sheet: Path) -> None:
    """Write pictures from a film, evenly spread over its length, as one PNG or JPEG.

    Raises:
        InputError: the sheet cannot be written.
    """
    pictures = [_thumbnail(frame) for frame in _spread(film, COLUMNS * ROWS)]
    height = max(picture.shape[0] for picture in pictures) + GAP
    rows = -(-len(pictures) // COLUMNS)
    page = np.full((rows * height + GAP, COLUMNS * (WIDTH + GAP) + GAP, 3), 24, np.uint8)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, COLUMNS)
        top, left = row * height + GAP, column * (WIDTH + GAP) + GAP
        page[top : top + picture.shape[0], left : left + WIDTH] = picture
    done, encoded = cv2.imencode(sheet.suffix or ".png", page)
    if not done:
        raise InputError(sheet, "is no picture format", "name it .png or .jpg")
    with atomic_write(sheet) as partial:
        partial.write_bytes(encoded.tobytes())


def _spread(film: Path, count: int) -> list[VideoFrame]:
    """Frames from the middles of so many equal parts of a film."""
    with open_video(film) as container:
        stream = video_stream(container, film)
        stream.thread_type = "AUTO"
        length = container.duration or 0
        start = container.start_time or 0
        frames: list[VideoFrame] = []
        for part in range(count):
            wanted = start + length * (2 * part + 1) // (2 * count)
            container.seek(wanted, backward=True)
            frame = next((f for f in container.decode(stream) if f.time * av.time_base >= wanted), None)
            if frame is not None and (not frames or frame.pts != frames[-1].pts):
                frames.append(frame)
        return frames or [next(container.decode(stream))]


def _thumbnail(frame: VideoFrame) -> NDArray[np.uint8]:
    height = max(1, round(frame.height * WIDTH / frame.width))
    return frame.to_ndarray(format="bgr24", width=WIDTH, height=height)  # type: ignore[return-value]
