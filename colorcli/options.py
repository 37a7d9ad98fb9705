"""What a run was asked for, as frozen values; `commands/run.py` fills them in."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

DEFAULT_MODEL = Path(__file__).parent / "models" / "default.onnx"
MAX_PIXELS = 400_000_000


class Existing(StrEnum):
    """What to do where an output already exists."""

    REFUSE = "refuse"
    SKIP = "skip"
    OVERWRITE = "overwrite"
    RESUME = "resume"


@dataclass(frozen=True)
class ColorOptions:
    """How pictures are colored."""

    model: Path = DEFAULT_MODEL
    device: str = "auto"
    size: int | None = None
    """Working short side in pixels; the model's own if None."""
    saturation: float = 1.0
    hints: Path | None = None
    reference: Path | None = None
    recolor: bool = False
    """Do pictures and shots that already have color, too."""
    provenance: bool = True
    """Mark outputs as algorithmically colorized."""


@dataclass(frozen=True)
class VideoOptions:
    """How film is read and encoded."""

    codec: str | None = None
    """Encoder; None takes the one that suits container and source best."""
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    encoder_args: str = ""
    """More arguments for the encoder, split as a shell would."""
    start: str | None = None
    """Seconds (`12.5`, `12.5s`), timecode (`00:01:02.5`, `00:01:02:12`) or frame number (`300f`)."""
    end: str | None = None
    stabilize: bool = True
    references: Path | None = None
    shots: Path | None = None
    deinterlace: bool = False
    tonemap: bool = False
    contact_sheet: Path | None = None


@dataclass(frozen=True)
class RunOptions:
    color: ColorOptions = field(default_factory=ColorOptions)
    video: VideoOptions = field(default_factory=VideoOptions)
    existing: Existing = Existing.REFUSE
    fail_fast: bool = False
    jobs: int | None = None
    """Worker processes for stills; None fits them to cores and memory."""
    max_pixels: int = MAX_PIXELS
    """Pictures with more pixels by their header are refused before decoding."""
    compare: bool = False
    """Write gray and color side by side."""
    preserve_times: bool = False
    stream_format: str | None = None
    """Format written to standard output."""


def comparison_path(output: Path) -> Path:
    """Where `--compare` puts its picture."""
    return output.with_name(f"{output.name}.compare.jpg")


@dataclass(frozen=True)
class Outcome:
    """What became of one input; `action` as in `events.Done`."""

    action: str = "colorized"
    facts: dict[str, object] = field(default_factory=dict)
