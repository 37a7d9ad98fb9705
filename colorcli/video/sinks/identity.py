"""What a video's frames depend on: a resumed run must find all of it unchanged, a mended one only a part."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av

from colorcli._version import __version__
from colorcli.networks.card import ModelCard
from colorcli.video.color_sources import palette_digest
from colorcli.video.ffmpeg import version_line
from colorcli.video.preflight import CheckedVideo, VideoSpec

_PACKAGE = Path(__file__).parents[2]
_COLOR_CODE = "color", "colorizer", "models", "video"
"""Subpackages that colors depend on."""


def run_identity(video: CheckedVideo, card: ModelCard) -> dict[str, Any]:
    """Everything that the output's frames depend on."""
    color = {name: value for name, value in asdict(video.options.color).items() if name != "model"}
    options = {name: value for name, value in asdict(video.options.video).items() if name != "contact_sheet"}
    path = video.options.video.shots
    palettes = sorted({shot.reference for shot in video.shots.shots})
    reference = video.options.color.reference
    return {
        "colorcli": [__version__, code_digest(_PACKAGE)],
        "ffmpeg": version_line(),
        "av": av.__version__,
        "source": video.source.identity(),
        "model": asdict(card),
        "color": color,
        "video": options,
        "compare": video.options.compare,
        "settings": asdict(video.settings),
        # A shot list that did not exist is written at the end of the run only: its name stands for it.
        "shots": hashlib.sha256(path.read_bytes()).hexdigest() if path and path.is_file() else str(path),
        "reference": palette_digest(str(reference), None) if reference else "",
        "references or hints": [(number, video.given.digest(number)) for number in video.given.frames]
        + [palette_digest(name, video.options.video.references) for name in palettes],
    }


def code_digest(package: Path) -> str:
    """A digest of the source code that colors depend on, which may change between two versions."""
    digest = hashlib.sha256()
    for path in sorted(path for name in _COLOR_CODE for path in (package / name).rglob("*.py")):
        digest.update(f"{path.relative_to(package)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def encoding_identity(video: VideoSpec) -> str:
    """A digest of what the encoded bytes depend on beside the colored frames."""
    info = {**asdict(video.output_info), "source": ""}  # a file may be named in several ways
    depends = [version_line(), asdict(video.settings), info]
    return hashlib.sha256(json.dumps(depends, default=str).encode()).hexdigest()[:32]
