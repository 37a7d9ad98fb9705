"""The state of a training run: tensors in safetensors, everything else as JSON in its header; no pickle."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from colorcli.errors import InputError
from colorcli.files import atomic_write

STATE_KEY = "colorcli.state"


def save_state(path: Path, parts: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write the state dicts `parts` (nested dicts of tensors and numbers) and `facts` (JSON)."""
    tensors: dict[str, Tensor] = {}
    outline = {name: _split(part, name, tensors) for name, part in parts.items()}
    with atomic_write(path) as partial:
        partial.write_bytes(save(tensors, {STATE_KEY: json.dumps({"parts": outline, "facts": facts})}))


def load_state(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `save_state` wrote.

    Raises:
        InputError: the file is missing, or not a training state.
    """
    try:
        with safe_open(path, "pt") as file:
            content = json.loads((file.metadata() or {})[STATE_KEY])
        tensors = load_file(path)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(path, f"not a training state ({error})", "start the run without --resume") from error
    return {name: _join(part, tensors) for name, part in content["parts"].items()}, content["facts"]


def _split(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Move tensors out of nested containers, and leave {"tensor": name} in their place."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"items": [[key, _split(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_split(item, f"{name}/{index}", tensors) for index, item in enumerate(value)]
    return value


def _join(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Put the tensors back."""
    if isinstance(value, list):
        return [_join(item, tensors) for item in value]
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: _join(item, tensors) for key, item in value["items"]}
    return value
