"""What a person gave a film's colors by, frame by frame: references and hints."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from colorcli.errors import UsageError
from colorcli.files import STDIO
from colorcli.options import RunOptions
from colorcli.video.film_hints import FrameHints, read_film_hints
from colorcli.video.info import VideoInfo
from colorcli.video.references import Reference, find_references
from colorcli.video.shot_list import ShotList


@dataclass(frozen=True)
class GivenColors:
    """References and hints of a film, by the number of their frame."""

    references: Mapping[int, Reference] = field(default_factory=dict)
    hints: Mapping[int, FrameHints] = field(default_factory=dict)

    @classmethod
    def read(cls, source: Path, options: RunOptions, info: VideoInfo, shots: ShotList) -> "GivenColors":
        """Read what the options name. The references may be palettes alone if the shot list names some.

        Raises:
            UsageError: something in it cannot be used, or the video cannot be read twice.
        """
        folder, hints = options.video.references, options.color.hints
        if source == STDIO and (folder or hints):
            flag = "--references" if folder else "--hints"
            raise UsageError(flag, "need a video that can be read twice, not a pipe", "give a file")
        required = not any(shot.reference for shot in shots.shots)
        found = find_references(folder, info.rate, required=required) if folder else []
        return cls({one.frame: one for one in found}, read_film_hints(hints, info) if hints else {})

    @property
    def frames(self) -> list[int]:
        """Numbers of the frames that something is given for."""
        return sorted(self.references.keys() | self.hints.keys())

    def digest(self, number: int) -> str:
        """Of what is given for a frame; empty for nothing."""
        given = [each[number].digest() for each in (self.references, self.hints) if number in each]
        return hashlib.sha256(" ".join(given).encode()).hexdigest() if given else ""

    def words(self, start: int, end: int) -> list[str]:
        """What is given for a shot, for people."""
        references = [one.path.name for number, one in self.references.items() if start <= number < end]
        hinted = [number for number in self.hints if start <= number < end]
        words = [f"reference {name}" for name in references]
        return words + ([f"hints for frame {', '.join(map(str, hinted))}"] if hinted else [])


NOTHING_GIVEN = GivenColors()
