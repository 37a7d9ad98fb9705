"""Which model a file holds."""

import hashlib
from pathlib import Path


def file_digest(path: Path) -> str:
    """SHA-256 of a model file, and of the files with its weights that ONNX keeps beside large models."""
    found = hashlib.sha256()
    for part in (path, path.with_name(f"{path.name}.data"), path.with_name(f"{path.name}_data")):
        if part.is_file():
            with part.open("rb") as file:
                while block := file.read(1 << 20):
                    found.update(block)
    return found.hexdigest()
