"""Colorize black-and-white photographs and film.

Everything public is listed in `__all__` and described in `docs/api.md`. `Colorizer`, `colorize_image` and
`colorize_video` are imported on first use, so that `import colorcli` is fast.
"""

from typing import TYPE_CHECKING, Any

from colorcli._version import __version__
from colorcli.errors import ColorcliError, InputError, RefusedError, SetupError, UsageError
from colorcli.options import Outcome

if TYPE_CHECKING:
    from colorcli.api import Colorizer, colorize_image, colorize_video

__all__ = [
    "ColorcliError",
    "Colorizer",
    "InputError",
    "Outcome",
    "RefusedError",
    "SetupError",
    "UsageError",
    "__version__",
    "colorize_image",
    "colorize_video",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from colorcli import api

    return getattr(api, name)
