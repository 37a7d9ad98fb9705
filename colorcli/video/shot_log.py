"""Reports each shot of a film when it is colorized, with a small picture before and after."""

from collections.abc import Iterable, Iterator, Sequence

from colorcli.events import ShotDone, Sink
from colorcli.video.corrections import Memory
from colorcli.video.frames import ColoredFrame
from colorcli.video.part import Part
from colorcli.video.preflight import CheckedVideo
from colorcli.video.shot_list import Shot
from colorcli.video.shot_summary import ShotSummary, ShownFrame


class ShotLog:
    """Watches the colorized frames of a part go by."""

    def __init__(
        self,
        video: CheckedVideo,
        report: Sink,
        part: Part,
        memory: Memory | None = None,
        *,
        keeps: bool = False,
    ) -> None:
        """`keeps`: whether somebody asks for the `summaries`."""
        self._video, self._report, self._keeps = video, report, keeps
        self._recalled = {} if memory is None else memory.recalled
        self._is_silent = part.chroma is not None  # the sink reports what is only encoded again
        self._shot = part.open_shot
        self._done = part.shots_before - (part.open_shot is not None)
        self._ended: list[ShotSummary] = []
        self._asked = -1
        """Number of the last frame when the `summaries` were asked for last."""

    def watch(self, frames: Iterable[ColoredFrame]) -> Iterator[ColoredFrame]:
        """The same frames; each is noted when the next one is asked for.

        A shot is reported when the next one begins or the frames end.
        """
        if self._is_silent:
            yield from frames
            return
        for colored in frames:
            yield colored
            self._add(colored)
        self._end()

    def summaries(self) -> list[ShotSummary]:
        """Of the shots that have had frames since this was asked last; the last one may go on."""
        seen = self._ended if self._shot is None else [*self._ended, self._shot]
        found = [shot for shot in seen if shot.last > self._asked]
        self._ended, self._asked = [], seen[-1].last if seen else self._asked
        return found

    def _add(self, colored: ColoredFrame) -> None:
        if colored.starts_shot:
            self._end()
            self._shot = ShotSummary.of(colored, self._shown(colored))
        elif self._shot is not None:  # else it began in an earlier run that stored nothing
            self._shot.add(colored, self._shown)
        if self._shot is not None and colored.agreement is not None:
            self._shot.agreement += colored.agreement

    def _shown(self, colored: ColoredFrame) -> ShownFrame:
        return ShownFrame.of(colored, self._video.info)

    def _end(self) -> None:
        if self._shot is None:
            return
        self._done += 1
        recalled = self._recalled.get(self._shot.start, ())
        self._report(shot_done(self._video, self._done, self._shot, recalled))
        self._ended += [self._shot] if self._keeps else []
        self._shot = None


def shot_done(video: CheckedVideo, number: int, shot: ShotSummary, recalled: Sequence[int]) -> ShotDone:
    """What is reported of a shot.

    Args:
        number: counted from 1.
        recalled: first frames of the shots that it had colors from.
    """
    shown = shot.shown()
    info = video.info
    row = video.shots.find(shot.start) or Shot(shot.start, shot.last + 1)
    return ShotDone(
        video.name, number, shot.start, shot.last + 1, float(info.rate),
        _decided(video, shot, recalled),
        None if shown.keeps_color else shot.agreement.share(),
        shown.number, (info.width, info.height), shown.before, shown.after, row.decisions(),
    )  # fmt: skip


def _decided(video: CheckedVideo, shot: ShotSummary, recalled: Sequence[int]) -> str:
    row = video.shots.find(shot.start)
    by_list = row is not None and row.start == shot.start
    parts = ["first shot" if shot.start == 0 else "shot list" if by_list else "cut"]
    if shot.shown().keeps_color:
        parts.append("keeps its color")
    if row is not None and str(row.grade):
        parts.append(str(row.grade))
    if row is not None and row.reference:
        parts.append(f"palette of {row.reference}")
    others = [number for number in recalled if not shot.start <= number <= shot.last]
    if others:
        parts.append(f"memory of the shot at frame {', '.join(map(str, others))}")
    return ", ".join(parts + video.given.words(shot.start, shot.last + 1))
