"""What a run is asked for, as frozen values. Each option is stated here once.

A field's `Flag` says how the command line offers it; flag, environment variable and configuration key follow
from the field's name, type and default (`colorcli.cli.parameters`). The Python API takes the same names.
"""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

DEFAULT_MODEL = Path(__file__).parent / "models" / "default.onnx"
DEFAULT_MODELS: Any = (DEFAULT_MODEL,)
NO_KINDS: Any = ()
MAX_PIXELS = 400_000_000


def model_path(name: Path) -> Path:
    """The model file that a command's argument names; `default` is the built-in one."""
    return DEFAULT_MODEL if str(name) == "default" else name


Options = TypeVar("Options")


@dataclass(frozen=True)
class Flag:
    """Marks a value that the command line can set, as `--name`; a true boolean is cleared by `--no-name`."""

    help: str
    name: str = ""
    """Without dashes; the name of the field or parameter if empty."""
    short: str = ""
    """One more spelling, such as `-o`."""
    env: bool = False
    """Whether the environment variable COLORCLI_NAME sets it, too."""
    metavar: str | None = None
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] = ()
    """What a shell offers as completions; others may be allowed."""


DEVICES = ("auto", "coreml", "cpu", "cuda", "openvino", "rtx", "tensorrt", "webgpu")
ENCODERS = ("libx264", "libx265", "libsvtav1", "prores_ks", "ffv1")

ModelFiles = Annotated[
    list[Path],
    Flag("Model file; default, the included one. Several, as A and B:0.4, are blended.", env=True),
]
ModelKinds = Annotated[
    list[str],
    Flag("Kind of the model if its file does not tell, such as deoldify; one per --model.", metavar="KIND"),
]
Device = Annotated[
    str,
    Flag(
        "auto, coreml, cpu, cuda, cuda:N, openvino, rtx, tensorrt or webgpu; run spreads over cuda:0,1.",
        env=True,
        values=DEVICES,
    ),
]
WorkingSize = Annotated[int | None, Flag("Short side in pixels at which the network works.", min=32)]
Saturation = Annotated[float, Flag("Factor on the colors; 0 is gray.", env=True, min=0, max=4)]
Json = Annotated[bool, Flag("Write JSON instead of text, one object per line.")]


class Existing(StrEnum):
    """What to do if an output already exists."""

    REFUSE = "refuse"
    SKIP = "skip"
    OVERWRITE = "overwrite"
    RESUME = "resume"


@dataclass(frozen=True)
class ColorOptions:
    """How images and film are colorized."""

    PANEL: ClassVar = "Color"

    model: ModelFiles = DEFAULT_MODELS
    """One model file, or several to blend; each may end in `:WEIGHT`."""
    model_kind: ModelKinds = NO_KINDS
    """One of `models.registry.KINDS` for each model file, in order; empty leaves them to the files."""
    device: Device = "auto"
    size: WorkingSize = None
    """Working short side in pixels; None takes the model's own."""
    saturation: Saturation = 1.0
    hints: Annotated[
        Path | None,
        Flag("Known colors: JSON or CSV of x, y, color (film: also frame or time), or a PNG with paint."),
    ] = None
    reference: Annotated[Path | None, Flag("Color image whose palette is transferred.")] = None
    recolor: Annotated[bool, Flag("Colorize inputs that already have color, too.")] = False
    provenance: Annotated[bool, Flag("Mark outputs as algorithmically colorized.")] = True


USUAL_SHAPES = ("1x256x256", "8x512x512", "16x1024x1024")
"""Defaults of `--min`, `--opt` and `--max`: images, height, width."""


@dataclass(frozen=True)
class TensorrtOptions:
    """What TensorRT builds an engine for."""

    PANEL: ClassVar = "TensorRT"

    min: Annotated[list[str] | None, Flag(f"Smallest shape [{USUAL_SHAPES[0]}].", metavar="NxHxW")] = None
    opt: Annotated[list[str] | None, Flag(f"Fastest shape [{USUAL_SHAPES[1]}].", metavar="NxHxW")] = None
    max: Annotated[
        list[str] | None,
        Flag(
            f"Largest shape [{USUAL_SHAPES[2]}]. Give all three again for another profile.", metavar="NxHxW"
        ),
    ] = None
    target: Annotated[
        str, Flag("FILE.rtx.onnx: the card, if not this machine's.", metavar="sm86|sm89|sm120|sm121")
    ] = ""
    device: Annotated[str, Flag("The GPU to build on, cuda or cuda:N.")] = "cuda"
    timing_cache: Annotated[
        Path | None, Flag("Measurements to keep from build to build.", metavar="FILE")
    ] = None
    version_compatible: Annotated[bool, Flag("Run with later versions, too.")] = False
    hardware_compatible: Annotated[bool, Flag("Run on any GPU from Ampere on.")] = False
    via: Annotated[
        str,
        Flag("Builder that reads the network.", metavar="onnx|torch2trt", values=("onnx", "torch2trt")),
    ] = "onnx"


@dataclass(frozen=True)
class VideoOptions:
    """How film is read and encoded."""

    PANEL: ClassVar = "Film"

    codec: Annotated[str | None, Flag(f"Encoder: {', '.join(ENCODERS)}, ...", env=True, values=ENCODERS)] = (
        None
    )
    """None takes the encoder that suits container and source best."""
    crf: Annotated[float | None, Flag("Encoder quality; lower is better.", env=True)] = None
    preset: Annotated[str | None, Flag("Encoder speed.", env=True)] = None
    pix_fmt: Annotated[str | None, Flag("Pixel format; the source's own by default.")] = None
    encoder_args: Annotated[str, Flag("More arguments for ffmpeg's encoder.")] = ""
    """Split as a shell would."""
    start: Annotated[str | None, Flag("First frame: 12.5, 00:01:02.5, 00:01:02:12 or 300f.")] = None
    """Seconds (`12.5`, `12.5s`), timecode (`00:01:02.5`, `00:01:02:12`) or frame number (`300f`)."""
    end: Annotated[str | None, Flag("End, exclusive, written like --start.")] = None
    stabilize: Annotated[bool, Flag("Keep colors stable within a shot.")] = True
    memory: Annotated[bool, Flag("Reuse the colors of earlier shots that showed the same.")] = True
    references: Annotated[
        Path | None, Flag("Frames colorized by hand, named by number or timecode.", metavar="FOLDER")
    ] = None
    shots: Annotated[Path | None, Flag("Shot list: read if it exists, else written.", metavar="FILE")] = None
    deinterlace: Annotated[bool, Flag("Turn each interlaced frame into one progressive frame.")] = False
    field_order: Annotated[
        str | None,
        Flag("Which field comes first: tff or bff; the file's own by default.", values=("tff", "bff")),
    ] = None
    """For video that says nothing or something wrong about its fields."""
    tonemap: Annotated[bool, Flag("Convert HDR to SDR.")] = False
    fps: Annotated[str | None, Flag("Frames per second of numbered frames; 24 if they state none.")] = None
    """A number or a fraction: `18`, `16.67`, `24000/1001`."""
    audio: Annotated[str, Flag("Sound: copy, aac, opus or none.", values=("copy", "aac", "opus", "none"))] = (
        "copy"
    )
    drop: Annotated[
        str, Flag("Leave out streams by type or index: data,subtitle,attachment,3.", metavar="LIST")
    ] = ""
    """Comma-separated indices and types (`video`, `subtitle`, `data`, `attachment`)."""
    keep: Annotated[
        bool,
        Flag("Keep the colors beside the output: with --overwrite, a later run redoes only what changed."),
    ] = False
    """The shot list and the encoder's settings may change; a folder `.NAME.colorcli` holds the state."""
    contact_sheet: Annotated[
        Path | None, Flag("One image with a frame of each shot.", metavar="FILE.png")
    ] = None


@dataclass(frozen=True)
class RunOptions:
    """Everything that a run is asked for."""

    PANEL: ClassVar = "Batch"

    color: ColorOptions = field(default_factory=ColorOptions)
    video: VideoOptions = field(default_factory=VideoOptions)
    existing: Existing = Existing.REFUSE
    dry_run: Annotated[
        bool, Flag("Look at all inputs, and say what would be done and how long it takes.")
    ] = False
    fail_fast: Annotated[bool, Flag("Stop at the first failure.")] = False
    jobs: Annotated[int | None, Flag("Worker processes.", env=True, min=1)] = None
    """None fits them to cores and memory."""
    max_pixels: Annotated[int, Flag("Refuse images with more pixels.", env=True, min=1)] = MAX_PIXELS
    """Checked against the header, before decoding."""
    lossy: Annotated[bool, Flag("Allow image outputs to lose what their format cannot hold.")] = False
    """Without it such a conversion is refused: alpha, 16 bits, metadata."""
    salvage: Annotated[bool, Flag("Colorize what can be read of damaged JPEGs.")] = False
    """The rest is gray. Without it such files are refused."""
    compare: Annotated[bool, Flag("The output shows gray beside color, twice as wide.")] = False
    preserve_times: Annotated[bool, Flag("Keep modification times.")] = False
    format: Annotated[
        str | None,
        Flag(
            "Format of standard output, or of all images or all film in a folder: jpg, tif, mkv, ...",
            metavar="EXT",
        ),
    ] = None


def all_fields(kind: Any) -> Iterator[tuple[Any, "Field[Any]"]]:
    """The fields of an options dataclass, those of nested ones included, each with its dataclass."""
    for each in fields(kind):
        if isinstance(each.type, type) and is_dataclass(each.type):
            yield from all_fields(each.type)
        else:
            yield kind, each


def build_options(kind: type[Options], values: dict[str, Any]) -> Options:
    """An options value from a flat dictionary of field names, those of nested options included.

    The names that are used are removed from `values`; missing ones take their defaults.
    """
    arguments = {}
    for each in fields(kind):  # type: ignore[arg-type]
        if isinstance(each.type, type) and is_dataclass(each.type):
            arguments[each.name] = build_options(each.type, values)
        elif each.name in values:
            arguments[each.name] = values.pop(each.name)
    return kind(**arguments)


@dataclass(frozen=True)
class Outcome:
    """What became of one input."""

    action: str = "colorized"
    """`colorized`, `copied` (it already had color) or `skipped` (the output existed); in a dry run
    `to_colorize` or `to_copy`."""
    facts: dict[str, object] = field(default_factory=dict)
    """Width, height and pages of an image; frames, encoder and resumed (earlier frames) of a film."""
