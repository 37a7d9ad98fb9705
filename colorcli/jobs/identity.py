"""What the outputs of a run depend on besides its inputs, so that two runs do not mix in one folder."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from colorcli._version import __version__
from colorcli.options import RunOptions

_WITHOUT_EFFECT = {"model", "device", "contact_sheet", "shots"}
"""Options that change no output, or change it by rounding, or stand in the identity as a digest. A shot list
may be written by the first run and read by the next; film itself checks what it says."""


def identity_of(options: RunOptions) -> dict[str, Any]:
    """Version, digests of the model files and the options that outputs depend on, as JSON holds them."""
    from colorcli.models.blend import parse_weights

    files, weights = parse_weights(list(options.color.model))
    asked = {**asdict(options.color), **asdict(options.video), "lossy": options.lossy}
    values = {name: _plain(value) for name, value in asked.items() if name not in _WITHOUT_EFFECT}
    models = [f"{_digest(path)}:{weight:g}" for path, weight in zip(files, weights, strict=True)]
    identity = {"colorcli": __version__, "model": models, **values}
    return dict(json.loads(json.dumps(identity)))


def differences(identity: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The names of what differs, except the program's own version; `model` stands for the model files."""
    names = sorted((identity.keys() | other.keys()) - {"colorcli"})
    return [name for name in names if identity.get(name) != other.get(name)]


def name_of(identity: dict[str, Any]) -> str:
    """A short name that no other identity has."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    """Files by their contents, which machines may have at different places."""
    if isinstance(value, Path):
        return _digest(value) if value.is_file() else value.name
    return list(value) if isinstance(value, tuple) else value


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # opening the model will say what is wrong
        return str(path)
