"""A pass over a video that finds its shots, and a frame that stands for each; nothing is encoded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from colorcli.color.detection import ColorDetector
from colorcli.color.ycbcr import rgb_from_ycbcr
from colorcli.colorizer.color_sources import ColorSources
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.events import Progress, Sink
from colorcli.video.color_sources import open_color_sources, open_memory
from colorcli.video.frame_converter import FrameConverter
from colorcli.video.frames import ColoredFrame
from colorcli.video.part import Part
from colorcli.video.pipeline import joined_steps, unconverted_frames
from colorcli.video.pixel_formats import all_samples, unit_chroma, unit_luma
from colorcli.video.prefetch import Prefetch
from colorcli.video.preflight import CheckedVideo
from colorcli.video.shot_frames import OpenShot
from colorcli.video.shot_list import ShotList
from colorcli.video.shot_log import ShotLog
from colorcli.video.shots import ShotAnalyzer, ShotRule
from colorcli.video.temporal_colorizer import ColoredStep, Step

SHORT_SIDE = 256
"""Pixels at which shots are found without a model."""
PROGRESS_FRAMES = 10


@dataclass(frozen=True)
class SurveyedShot:
    """A shot, and the frame that stands for it."""

    start: int
    """Number of its first frame."""
    end: int
    """Number of the frame after its last."""
    shown: ColoredFrame
    """A frame from the second quarter of the shot; its picture is the source's."""

    @property
    def keeps_color(self) -> bool:
        """It has color already and keeps it."""
        return self.shown.frame.keeps_color


def find_shots(video: CheckedVideo, report: Sink) -> Iterator[SurveyedShot]:
    """The shots of a video, by its cuts and by where it has color, without a network."""
    height, width = video.info.height, video.info.width
    scale = min(1.0, SHORT_SIDE / min(height, width))
    working = max(1, round(height * scale)), max(1, round(width * scale))
    detector = None if video.options.color.recolor else ColorDetector()
    analyzer = ShotAnalyzer(video.converter(), working, ShotRule(ShotList([])), detector)
    with Prefetch(analyzer.run(video.frames())) as analyzed:
        frames = ShotLog(video, report, Part()).watch(joined_steps(analyzed, _uncolored))
        yield from _grouped(frames, video, report)


def color_shots(
    video: CheckedVideo,
    predictor: ChromaPredictor,
    sources: ColorSources,
    report: Sink,
) -> Iterator[SurveyedShot]:
    """The shots of a video with the colors that a run gives to the frame that stands for each."""
    memory = open_memory(video, predictor, sources)
    with (
        open_color_sources(video, Part(), predictor, sources, report) as hints,
        unconverted_frames(video, predictor, hints, Part(), memory) as frames,
    ):
        yield from _grouped(frames, video, report)


def _uncolored(steps: Iterable[Step]) -> Iterator[ColoredStep]:
    """The steps without colors."""
    return (ColoredStep(step, None, is_resumable=True) for step in steps)


def _grouped(frames: Iterable[ColoredFrame], video: CheckedVideo, report: Sink) -> Iterator[SurveyedShot]:
    """The frames' shots, each when it is complete."""
    shot: OpenShot[ColoredFrame] | None = None
    for count, colored in enumerate(frames, 1):
        if shot is None or colored.starts_shot:
            if shot is not None:
                yield SurveyedShot(shot.start, colored.frame.number, shot.shown())
            shot = OpenShot.of(colored, colored)
        else:
            shot.add(colored, lambda one: one)
        if count % PROGRESS_FRAMES == 0:
            report(Progress(video.name, count, video.trim.frames(video.info)))
    if shot is None:
        raise video.no_frames()
    yield SurveyedShot(shot.start, shot.last + 1, shot.shown())


def rgb_of(colored: ColoredFrame, converter: FrameConverter) -> NDArray[np.uint8]:
    """A frame of an unconverted video, colorized at full size: RGB [H, W, 3] of 8 bits.

    `converter`: for the natural layout of the video.
    """
    picture = converter.convert(colored).picture
    layout, info = converter.target, converter.info
    planes = all_samples(picture, layout)
    if layout.rgb:
        green, blue, red = (plane * np.float32(1 / ((1 << layout.bits) - 1)) for plane in planes[:3])
        rgb = np.stack([red, green, blue])
    else:
        luma = unit_luma(planes[0], layout.bits, full=info.is_full_range)
        size = luma.shape[::-1]
        chroma = [
            cv2.resize(unit_chroma(plane, layout.bits, full=info.is_full_range), size)
            for plane in planes[1:3]
        ]
        rgb = rgb_from_ycbcr(luma, np.stack(chroma), info.matrix)
    return np.rint(255 * np.clip(rgb, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
