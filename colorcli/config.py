"""The user's configuration file: defaults for flags, a table for each command.

    # ~/.config/colorcli/config.toml, or the file that COLORCLI_CONFIG names
    [run]
    saturation = 1.1
    codec = "ffv1"

A flag wins over its COLORCLI_* variable, the variable over the file, the file over the built-in default.
"""

import os
import tomllib
from pathlib import Path
from typing import Any

from colorcli.core.errors import UsageError


def config_path() -> Path:
    if named := os.environ.get("COLORCLI_CONFIG"):
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "colorcli" / "config.toml"


def load_defaults() -> dict[str, Any]:
    """Command name -> parameter name -> default.

    Raises:
        UsageError: the file is there but cannot be read, or COLORCLI_CONFIG names none.
    """
    path = config_path()
    if not path.exists() and "COLORCLI_CONFIG" not in os.environ:
        return {}
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(path, f"cannot be read as configuration ({error})", "mend or remove it") from error
    return {
        command: {name.replace("-", "_"): value for name, value in table.items()}
        for command, table in tables.items()
        if isinstance(table, dict)
    }
