"""No crash where a system lacks what Linux has: a process without it stands in for Windows and macOS."""

import subprocess
import sys
from pathlib import Path

from support.images import save
from support.scenes import scene

STRIPPED = """
import builtins, os, signal, sys
for module in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[module] = None
for owner, names in ((os, ("sched_getaffinity", "fork", "getpgid", "killpg", "geteuid", "statvfs")),
                     (signal, ("SIGHUP", "SIGKILL", "pthread_sigmask", "SIGPIPE"))):
    for name in names:
        if hasattr(owner, name):
            delattr(owner, name)
real_open = os.open
def windows_open(path, flags, *arguments, **options):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", str(path))
    return real_open(path, flags, *arguments, **options)
os.open = windows_open
"""


def run_stripped(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", STRIPPED + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_every_module_is_imported_without_what_posix_has() -> None:
    code = """
import importlib, pkgutil
import colorcli, colorcli.errors
rooms = tuple(f"colorcli.{room}" for room in ("cli", "jobs", "video", "images", "color", "models"))
for module in pkgutil.walk_packages(colorcli.__path__, "colorcli."):
    if module.name.startswith(rooms):
        try:
            importlib.import_module(module.name)
        except colorcli.errors.SetupError:
            pass
"""
    done = run_stripped(code)
    assert done.returncode == 0, done.stderr


def test_a_picture_is_colorized_there(tmp_path: Path, toy_model: Path) -> None:
    """In this process: how a worker is started depends on the real system."""
    source = save(tmp_path / "in.png", scene())
    code = """
from colorcli import colorize_image
colorize_image(sys.argv[1], sys.argv[2], model=sys.argv[3])
"""
    done = run_stripped(code, source, tmp_path / "out.png", toy_model)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.png").exists()
