"""Write `colorcli.1`, the man page, from the commands: python docs/make_man.py"""

import inspect
from pathlib import Path
from typing import Any

from typer.main import get_command

from colorcli._version import __version__
from colorcli.cli.app import app

EXIT_STATUS = (
    ("0", "All done."),
    ("1", "Some inputs failed; the others were done, or failed for another cause."),
    ("2", "The command line contradicts itself or cannot be understood."),
    ("3", "ffmpeg, an engine, a device or an extra is missing."),
    ("4", "Every input was refused by policy."),
    ("129, 130, 143", "Ended by a closed terminal, Ctrl-C or SIGTERM; --resume continues."),
)
FILES = (
    "~/.config/colorcli/config.toml, or the file that COLORCLI_CONFIG names: "
    "defaults for flags, one table per command."
)


def man_page() -> str:
    """The page in troff, with man(7) macros."""
    root: Any = get_command(app)
    lines = [
        f'.TH COLORCLI 1 "" "colorcli {__version__}" "User Commands"',
        ".SH NAME",
        rf"colorcli \- {_text(root.help)}",
        ".SH SYNOPSIS",
        ".B colorcli",
        r"[\fIcommand\fR] [\fIoptions\fR]",
        ".SH COMMANDS",
    ]
    for name, command in root.commands.items():
        lines += [f".SS colorcli {name}", _text(inspect.cleandoc(command.help or ""))]
        for parameter in command.params:
            lines += _parameter(parameter)
    lines += [".SH EXIT STATUS"]
    for code, meaning in EXIT_STATUS:
        lines += [".TP", rf"\fB{code}\fR", _text(meaning)]
    return "\n".join([*lines, ".SH FILES", _text(FILES), ""])


def _parameter(parameter: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        return [
            ".TP",
            rf"\fI{_text(parameter.metavar or parameter.name.upper())}\fR",
            _text(parameter.help or ""),
        ]
    names = ", ".join(rf"\fB{_text(flag)}\fR" for flag in [*parameter.opts, *parameter.secondary_opts])
    value = "" if parameter.is_flag else rf" \fI{_text(parameter.metavar or _choices(parameter))}\fR"
    variable = f" (variable: {parameter.envvar})" if parameter.envvar else ""
    return [".TP", names + value, _text((parameter.help or "") + variable)]


def _choices(parameter: Any) -> str:
    """The values of an option that takes one of several."""
    return "|".join(parameter.type_descriptor.annotation)


def _text(text: str) -> str:
    """Plain text with troff's special characters escaped."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    Path(__file__).with_name("colorcli.1").write_text(man_page())
