"""A contact sheet: pictures from the whole length of a finished video on one page."""

from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from colorcli.errors import InputError
from colorcli.files import atomic_write
from colorcli.video.probe import open_video, video_stream

COLUMNS, ROWS = 6, 5
WIDTH = 320
"""Width of each picture in pixels."""
GAP = 8
"""Pixels between pictures."""
_BACKGROUND = 24


def write_contact_sheet(video: Path, sheet: Path) -> None:
    """Write evenly spaced pictures of a video as one PNG or JPEG.

    Raises:
        InputError: the sheet cannot be written.
    """
    pictures = [_thumbnail(frame) for frame in evenly_spaced(video, COLUMNS * ROWS)]
    height = max(picture.shape[0] for picture in pictures) + GAP
    rows = -(-len(pictures) // COLUMNS)
    page = np.full((rows * height + GAP, COLUMNS * (WIDTH + GAP) + GAP, 3), _BACKGROUND, np.uint8)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, COLUMNS)
        top, left = row * height + GAP, column * (WIDTH + GAP) + GAP
        page[top : top + picture.shape[0], left : left + WIDTH] = picture
    done, encoded = cv2.imencode(sheet.suffix or ".png", page)
    if not done:
        raise InputError(sheet, "is not a picture format", "name it .png or .jpg")
    with atomic_write(sheet) as partial:
        partial.write_bytes(encoded.tobytes())


def evenly_spaced(video: Path, count: int) -> list[VideoFrame]:
    """Frames from the middles of `count` equal parts of a video."""
    with open_video(video) as container:
        stream = video_stream(container, video)
        stream.thread_type = "AUTO"
        length = container.duration or 0
        start = container.start_time or 0
        frames: list[VideoFrame] = []
        for part in range(count):
            wanted = start + length * (2 * part + 1) // (2 * count)
            container.seek(wanted, backward=True)
            timed = (frame for frame in container.decode(stream) if frame.time is not None)
            frame = next((frame for frame in timed if frame.time * av.time_base >= wanted), None)
            if frame is not None and (not frames or frame.pts != frames[-1].pts):
                frames.append(frame)
    if frames:
        return frames
    with open_video(video) as container:  # in some short streams every seek ends behind the last frame
        return [next(container.decode(video_stream(container, video)))]


def _thumbnail(frame: VideoFrame) -> NDArray[np.uint8]:
    height = max(1, round(frame.height * WIDTH / frame.width))
    return frame.to_ndarray(format="bgr24", width=WIDTH, height=height)  # type: ignore[return-value]
