"""Video whose size, pixel format or range changes midway: later frames are converted to the first format."""

from av.video.frame import VideoFrame

from colorcli.video.info import FULL, LIMITED, VideoInfo

_RANGE_NAMES = {LIMITED: "limited", FULL: "full"}
_MARK = {True: FULL, False: LIMITED}


class FormatAdapter:
    """Gives all frames the size, pixel format and range of the first one, and notes each change."""

    def __init__(self, info: VideoInfo, notes: list[str]) -> None:
        self._notes = notes
        self._is_first = True
        self._has_fields: bool | None = None
        """Whether the first frame is interlaced; None once a frame that differs is noted."""
        self._first = self._latest = (
            info.width,
            info.height,
            info.pix_fmt,
            self._range(info.pix_fmt, info.range),
        )

    def adapt(self, number: int, picture: VideoFrame) -> VideoFrame:
        """A frame in the first format, with its time."""
        self._compare_fields(number, has_fields=picture.interlaced_frame)
        name = picture.format.name
        form = picture.width, picture.height, name, self._range(name, picture.color_range)
        if form != self._latest:
            self._latest = form
            self._note(number, form)
        if form == self._first:
            return picture
        width, height, name, color_range = self._first
        return picture.reformat(
            width,
            height,
            name,
            src_color_range=form[3],
            dst_color_range=color_range,
            interpolation="BICUBIC",
        )

    def _compare_fields(self, number: int, *, has_fields: bool) -> None:
        if self._is_first:
            self._is_first, self._has_fields = False, has_fields
        elif self._has_fields is not None and has_fields != self._has_fields:
            names = ("interlaced", "progressive") if has_fields else ("progressive", "interlaced")
            note = (
                f"from frame {number} on, frames are {names[0]}; all are treated as the first, as {names[1]}"
            )
            self._notes.append(note)
            self._has_fields = None

    def _note(self, number: int, form: tuple[int, int, str, int]) -> None:
        if form == self._first:
            self._notes.append(f"from frame {number} on, it has the first format again")
            return
        words = []
        if form[:2] != self._first[:2]:
            words.append(f"{form[0]}x{form[1]} instead of {self._first[0]}x{self._first[1]}")
        if form[2] != self._first[2]:
            words.append(f"{form[2]} instead of {self._first[2]}")
        if form[3] != self._first[3]:
            words.append(f"{_RANGE_NAMES[form[3]]} instead of {_RANGE_NAMES[self._first[3]]} range")
        change = ", ".join(words)
        self._notes.append(f"from frame {number} on, the video is {change}; converted to the first format")

    def _range(self, name: str, tagged: int) -> int:
        """Limited or full, also where it is not tagged."""
        full_by_name = name.startswith(("yuvj", "gray", "ya", "mono"))
        return _MARK[tagged == FULL or (tagged != LIMITED and full_by_name)]
