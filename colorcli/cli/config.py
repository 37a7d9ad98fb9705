"""The user's configuration file: defaults for flags, a table for each command.

    # ~/.config/colorcli/config.toml, or the file that COLORCLI_CONFIG names
    [run]
    saturation = 1.1
    codec = "ffv1"

A flag wins over its COLORCLI_* variable, the variable over the file, the file over the built-in default.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from colorcli.errors import UsageError


def config_path() -> Path:
    """The configuration file, which need not exist."""
    if named := os.environ.get("COLORCLI_CONFIG"):
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "colorcli" / "config.toml"


def load_defaults(settings: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Read defaults: command name -> parameter name -> default.

    Args:
        settings: for each command, configuration key -> parameter name.

    Raises:
        UsageError: the file cannot be read or sets something unknown, or the one that COLORCLI_CONFIG
            names is missing.
    """
    path = config_path()
    if not path.exists() and not os.environ.get("COLORCLI_CONFIG"):
        return {}
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        remedy = "check its name and its permissions"
        raise UsageError(path, f"cannot be read ({error.strerror})", remedy) from error
    except ValueError as error:
        raise UsageError(path, f"cannot be read as TOML ({error})", "correct or remove it") from error
    defaults: dict[str, dict[str, Any]] = {}
    for command, table in tables.items():
        if command not in settings or not isinstance(table, dict):
            raise UsageError(
                path,
                f"has an unknown table or setting {command!r}",
                f"put settings under {_tables(settings)}",
            )
        known = settings[command]
        for name, value in table.items():
            if name.replace("-", "_") not in known:
                remedy = f"name it as `colorcli {command} --help` does, without the dashes"
                raise UsageError(path, f"[{command}] has no setting {name!r}", remedy)
            defaults.setdefault(command, {})[known[name.replace("-", "_")]] = value
    return defaults


def _tables(settings: Mapping[str, Mapping[str, str]]) -> str:
    return ", ".join(f"[{command}]" for command in settings)
