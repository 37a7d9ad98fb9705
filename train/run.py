"""A training run from its arguments: configuration, pictures, device, loop."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from colorcli.errors import SetupError, UsageError
from colorcli.train.config import Config, load_config
from colorcli.train.loop import train
from colorcli.train.pictures import Pack, find_pictures, pack_pictures
from colorcli.train.ranks import Ranks


def start(data: Sequence[str], run: Path, config_file: Path | None, device: str, *, resume: bool) -> None:
    """Train on the pictures in `data` into the folder `run`; a resumed run keeps its own configuration.

    Raises:
        UsageError, InputError, SetupError: as `load_config`, `find_pictures` and `train` say.
    """
    console = Console(stderr=True)
    kept = run / "config.toml"
    if resume and config_file is None and kept.exists():
        config_file = kept
    config = load_config(config_file) if config_file else Config()
    if kept.exists() and not resume:
        raise UsageError(run, "holds a training run", "continue it with --resume, or name another folder")
    for folder in data:
        if run.resolve().is_relative_to(Path(folder).resolve()):
            raise UsageError(
                run, f"lies inside {folder}", "its sample sheets would be trained on; put it elsewhere"
            )
    target = choose_device(device)
    ranks = Ranks.join(target)
    if not ranks.is_first:
        console.quiet = True
        ranks.wait()  # for the first to have packed the pictures
    pack = _pack(data, run, config, console)
    if ranks.is_first:
        ranks.wait()
    train(config, pack, run, target, console, ranks=ranks, resume=resume)
    ranks.leave()
    console.print(f"Done: {run / 'generator.safetensors'}", highlight=False)


def _pack(data: Sequence[str], run: Path, config: Config, console: Console) -> Pack:
    files = find_pictures(data)
    hidden = not console.is_terminal
    steps = iter(track(files, "Decoding pictures", console=console, transient=True, disable=hidden))

    def advance(_: int) -> None:
        next(steps, None)

    pack = pack_pictures(files, run / "pictures.rgb", config.data, advance)
    console.print(f"{len(pack):,} pictures; {pack.dull} left out as too dull, {len(pack.corrupt)} unreadable")
    for name in pack.corrupt:
        console.print(f"  unreadable: {name}", highlight=False)
    return pack


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` -> a device that is there.

    Raises:
        SetupError: the device is not there.
    """
    if name == "auto":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        cause = str(error).splitlines()[0]
        raise SetupError(name, f"no such device ({cause})", "use --device cpu or auto") from error
    return device
