"""The Python API. `docs/api.md` shows its use; all names are exported by `colorcli`.

Files go through the same code as `colorcli run`, in this process, and keep all of its promises.
"""

import logging
from collections.abc import Callable, Sequence
from math import inf
from os import PathLike
from pathlib import Path
from types import NoneType, TracebackType
from typing import TYPE_CHECKING, Any, Self, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

from colorcli.color.hints import Point, Points, parse_color, read_hints
from colorcli.color.palette_transfer import CELL
from colorcli.colorizer.color_sources import ColorSources, ReferencePicture
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.errors import ColorcliError, UsageError
from colorcli.events import Event, Note, Progress
from colorcli.images.colorize import colorize_array
from colorcli.jobs.executors import InProcessExecutor
from colorcli.jobs.job import Kind
from colorcli.jobs.plan import make_plan
from colorcli.models import open_model
from colorcli.options import Existing, Flag, Outcome, RunOptions, all_fields, build_options
from colorcli.signals import StopSignals

if TYPE_CHECKING:
    from PIL.Image import Image

_Path = str | PathLike[str]
_Pixels = NDArray[np.uint8] | NDArray[np.uint16]
_Color = str | tuple[int, int, int]

_logger = logging.getLogger("colorcli")


class Colorizer:
    """A model, opened once, that colorizes images in memory.

    A context manager. Not safe for use from two threads at once.
    """

    def __init__(
        self,
        model: _Path | None = None,
        device: str = "auto",
        size: int | None = None,
        saturation: float = 1.0,
        model_kind: str = "auto",
    ) -> None:
        """Open a model.

        Args:
            model: a model file; None takes the included one.
            device: `auto`, `coreml`, `cpu`, `cuda`, `cuda:N`, `openvino`, `rtx`, `tensorrt` or `webgpu`.
            size: short side in pixels at which the network works, 32 or more; None takes the model's own.
            saturation: factor on the colors, from 0 (gray) to 4.
            model_kind: kind of the model where its file does not tell, such as `deoldify`.

        Raises:
            SetupError: the model cannot be opened, or the device or an engine is not available.
            UsageError: there is no device or kind of this name.
            ValueError: `size` or `saturation` is out of range.
        """
        values = {"device": device, "size": size, "saturation": saturation}
        color = _options(values if model is None else {**values, "model": model}).color
        self._model = open_model(color.model, color.device, kinds=model_kind)
        self._predictor = ChromaPredictor(self._model, size=color.size, saturation=color.saturation)
        self._is_closed = False

    def colorize(
        self,
        picture: "_Pixels | Image",
        hints: Sequence[tuple[float, float, _Color]] | _Path | None = None,
        reference: _Pixels | _Path | None = None,
    ) -> _Pixels:
        """Colorize one image.

        Args:
            picture: uint8 or uint16, gray [H, W] or RGB [H, W, 3], whose own colors are ignored; or a Pillow
                image of mode L, RGB or I;16.
            hints: known colors as (x, y, color), pixels counted from the top left corner; a color is
                "#rrggbb", a CSS name or (r, g, b) of 0 to 255. Or a hint file, as for `--hints`.
            reference: a color image whose palette is transferred: RGB [H, W, 3] or a file.

        Returns:
            RGB [H, W, 3] of the picture's type. Its gray (BT.601) equals the picture's within one code value.

        Raises:
            TypeError, ValueError: an argument has the wrong type, shape or range, or the colorizer is closed.
            UsageError: the hint file or the reference file cannot be used.
            InputError: a hint lies outside the picture.
        """
        if self._is_closed:
            raise ValueError("the colorizer is closed")
        pixels = _as_array(picture)
        sources = ColorSources(_read_hints(hints), _read_reference(reference))
        return colorize_array(pixels, self._predictor, sources)

    def close(self) -> None:
        """Free the model; the colorizer cannot be used afterwards."""
        self._is_closed = True
        self._model.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def colorize_image(path: _Path, out: _Path, **options: Any) -> Outcome:
    """Colorize an image file: depth, metadata, alpha and pages are kept, and the output appears whole.

    Args:
        path: the image.
        out: the output, whose suffix gives the format; or a folder.
        options: any option of `colorcli run` that concerns images, by the name of its flag (`hints`,
            `saturation`, `recolor=True`, `provenance=False`, ...), and `existing`: "refuse" (the default),
            "skip" or "overwrite".

    Raises:
        ColorcliError: why there is no output: InputError, UsageError, SetupError or RefusedError.
        TypeError, ValueError: an option does not exist, or its value has the wrong type or is out of range.
    """
    return _run(Kind.IMAGE, path, out, None, options)


def colorize_video(
    path: _Path,
    out: _Path,
    on_progress: Callable[[int, int | None], None] | None = None,
    **options: Any,
) -> Outcome:
    """Colorize a film, or numbered images such as `frame_%06d.png`: all streams and timestamps are kept.

    Args:
        path: the film.
        out: the output, whose suffix gives the container; or a folder.
        on_progress: called with the frames done and their total, None if it is not known. What it raises
            ends the call.
        options: any option of `colorcli run` that concerns film, by the name of its flag (`codec`, `crf`,
            `start`, `stabilize=False`, ...), and `existing`: "refuse" (the default), "skip", "overwrite" or
            "resume", which continues an interrupted call.

    Raises:
        ColorcliError: why there is no output: InputError, UsageError, SetupError or RefusedError.
        TypeError, ValueError: an option does not exist, or its value has the wrong type or is out of range.
    """
    return _run(Kind.VIDEO, path, out, on_progress, options)


def _run(
    kind: Kind,
    path: _Path,
    out: _Path,
    on_progress: Callable[[int, int | None], None] | None,
    values: dict[str, Any],
) -> Outcome:
    callers: list[Exception] = []
    """What `on_progress` raised: not an error of this program or of the file."""

    def report(event: Event) -> None:
        if isinstance(event, Note):
            _logger.info("%s: %s", event.input, event.message)
        elif isinstance(event, Progress) and on_progress:
            try:
                on_progress(event.done, event.total)
            except Exception as error:
                callers.append(error)
                raise

    options, source = _options(values), Path(path)
    if source.is_dir():
        raise UsageError(source, "is a folder", "name one file")
    (job,) = make_plan([source], Path(out), options, report)
    if job.problem:
        raise job.problem
    if job.kind is not kind:
        expected = "an image" if kind is Kind.IMAGE else "a film"
        raise UsageError(source, f"is not {expected}", f"use colorize_{job.kind}")
    if job.skip:
        return Outcome("skipped")
    (finished,) = InProcessExecutor(options).run([job], report, StopSignals())
    if isinstance(finished.result, ColorcliError):
        raise callers[0] if callers else finished.result
    return finished.result


def _options(values: dict[str, Any]) -> RunOptions:
    """Options from keyword arguments, with strings as paths where a path is due.

    Raises:
        TypeError, ValueError: an option does not exist, or its value has the wrong type or is out of range.
    """
    known = {each.name: each.type for _, each in all_fields(RunOptions)}
    unknown = values.keys() - known.keys()
    if unknown:
        raise TypeError(f"no such option: {', '.join(sorted(unknown))}; options are {', '.join(known)}")
    return build_options(RunOptions, {name: _value(name, known[name], one) for name, one in values.items()})


def _value(name: str, annotation: Any, value: Any) -> Any:
    if annotation is Existing:
        if value not in list(Existing):
            raise ValueError(f"existing is {value!r}, not one of {', '.join(Existing)}")
        return Existing(value)
    kind, flag = get_args(annotation)
    if get_origin(kind) is not list:
        return _scalar(name, get_args(kind) or (kind,), flag, value)
    several = value if isinstance(value, list | tuple) else [value]
    return [_scalar(name, get_args(kind), flag, one) for one in several]


def _scalar(name: str, types: tuple[type, ...], flag: Flag, value: Any) -> Any:
    """A value as one of the types that its option has."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | PathLike) and Path in types:
        return Path(value)
    if type(value) is int and float in types:
        value = float(value)
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        expected = " or ".join(each.__name__ for each in types if each is not NoneType)
        raise TypeError(f"{name} is {value!r}, not of type {expected}")
    low, high = -inf if flag.min is None else flag.min, inf if flag.max is None else flag.max
    if isinstance(value, int | float) and not low <= value <= high:
        raise ValueError(f"{name} is {value:g}, not within {low:g} to {high:g}")
    return value


def _as_array(picture: "_Pixels | Image", name: str = "picture") -> _Pixels:
    """The picture as an array, checked."""
    if isinstance(picture, str | PathLike):
        raise TypeError(f"the {name} is a file name; read it first, or call colorize_image")
    mode = getattr(picture, "mode", None)
    if mode is not None and mode not in ("L", "RGB", "I;16"):
        raise ValueError(f"the {name} has mode {mode}, not L, RGB or I;16; convert it first")
    pixels = np.asarray(picture)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"the {name} has type {pixels.dtype}, not uint8 or uint16")
    if pixels.ndim != 2 and pixels.shape[2:] != (3,):
        raise ValueError(f"the {name} has shape {list(pixels.shape)}, not [H, W] or [H, W, 3]")
    if pixels.size == 0:
        raise ValueError(f"the {name} has shape {list(pixels.shape)}: it is empty")
    return pixels


def _read_hints(hints: Sequence[tuple[float, float, _Color]] | _Path | None) -> Any:
    if isinstance(hints, str | PathLike):
        return read_hints(Path(hints))
    points = [_point(hint) for hint in (() if hints is None else hints)]
    return Points(Path("hints"), points) if points else None


def _point(hint: tuple[float, float, _Color]) -> Point:
    try:
        x, y, color = hint
        text = color if isinstance(color, str) else ",".join(map(str, color))
        return Point(float(x), float(y), parse_color(text))
    except (TypeError, ValueError) as error:
        raise ValueError(f"a hint is {hint!r}, not (x, y, color): {error}") from error


def _read_reference(reference: _Pixels | _Path | None) -> ReferencePicture | None:
    if reference is None:
        return None
    if isinstance(reference, str | PathLike):
        return ReferencePicture(Path(reference))
    rgb = _as_array(reference, "reference")
    if rgb.ndim != 3 or min(rgb.shape[:2]) < CELL or (rgb == rgb[..., :1]).all():
        cause = f"the reference has shape {list(rgb.shape)}" if rgb.ndim != 3 else "the reference"
        raise ValueError(f"{cause}: a color picture [H, W, 3] is needed")
    return ReferencePicture(rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(np.iinfo(rgb.dtype).max))
