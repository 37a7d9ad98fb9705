"""What decides about the colors of a segment's frames, as a digest for each shot."""

import hashlib
from typing import Any

from colorcli.video.color_sources import palette_digest
from colorcli.video.preflight import VideoSpec
from colorcli.video.shot_list import Shot
from colorcli.video.shots import Decision


class DecisionKeys:
    """Digests of the decisions about frames, of their shots' palettes, and of the colors given for them."""

    def __init__(self, video: VideoSpec) -> None:
        self._video = video
        self._digests: dict[int, Any] = {}
        """By the number of the shot's first frame here."""
        self._open = hashlib.sha256()
        self._shot: Shot | None = None
        self._palette = ""

    def add(self, number: int, decision: Decision) -> None:
        """Add the next frame."""
        shot = self._video.shots.find(number)
        if shot is not self._shot:
            name = "" if shot is None else shot.reference
            self._shot, self._palette = shot, palette_digest(name, self._video.options.video.references)
        if decision.starts_shot or not self._digests:
            self._open = self._digests[number] = hashlib.sha256()
        self._open.update(repr((decision, self._palette, self._video.given.digest(number))).encode())

    def digests(self) -> list[tuple[int, str]]:
        """Of each shot, with the number of its first frame here."""
        return [(number, digest.hexdigest()[:32]) for number, digest in self._digests.items()]
