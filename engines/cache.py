"""The user's cache folder: what was compiled or measured once."""

from pathlib import Path

import platformdirs

from colorcli.errors import SetupError


def cache_folder(name: str) -> Path:
    """A folder of this name in the user's cache, which exists after the call.

    Raises:
        SetupError: it cannot be created.
    """
    folder: Path = platformdirs.user_cache_path("colorcli") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cause = f"cannot be created ({error.strerror})"
        raise SetupError(
            folder, cause, "make it writable, or set XDG_CACHE_HOME to another folder"
        ) from error
    return folder
