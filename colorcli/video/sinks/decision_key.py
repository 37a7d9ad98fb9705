"""What decides about the colors of a segment's frames, as a digest."""

import hashlib

from colorcli.video.color_sources import palette_digest
from colorcli.video.preflight import VideoSpec
from colorcli.video.shot_list import Shot
from colorcli.video.shots import Decision


class DecisionKey:
    """A digest of the decisions about frames, of their shots' palettes, and of the colors given for them."""

    def __init__(self, video: VideoSpec) -> None:
        self._video, self._digest = video, hashlib.sha256()
        self._shot: Shot | None = None
        self._palette = ""

    def add(self, number: int, decision: Decision) -> None:
        """Add the next frame."""
        shot = self._video.shots.find(number)
        if shot is not self._shot:
            name = "" if shot is None else shot.reference
            self._shot, self._palette = shot, palette_digest(name, self._video.options.video.references)
        self._digest.update(repr((decision, self._palette, self._video.given.digest(number))).encode())

    def digest(self) -> str:
        return self._digest.hexdigest()[:32]
