"""The user's cache folder: what was compiled or measured once."""

from pathlib import Path

import platformdirs


def cache_folder(name: str) -> Path:
    """A folder of this name in the user's cache, which exists after the call."""
    folder: Path = platformdirs.user_cache_path("colorcli") / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
