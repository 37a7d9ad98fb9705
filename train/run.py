"""`colorcli train`: from its arguments to the loop."""

import os
from collections.abc import Sequence
from dataclasses import fields, replace
from enum import Enum, auto
from pathlib import Path

import torch
from rich.console import Console

from colorcli.errors import InputError, SetupError, UsageError
from colorcli.evaluation.pictures import find_pictures
from colorcli.files import check_folder
from colorcli.networks.generators import GENERATORS
from colorcli.progress import progress_bar
from colorcli.train.captured import own_stream
from colorcli.train.config import Config, load_config
from colorcli.train.distributed import ProcessGroup
from colorcli.train.fine_tune import SETTINGS, conclude, fine_tuning, held_out_of
from colorcli.train.loop import train
from colorcli.train.pack import Pack, check_same_pictures, pack_pictures
from colorcli.train.report import ProgressLines
from colorcli.train.trainer import STATE


class Resume(Enum):
    """Whether a run goes on from its folder's state."""

    NO = auto()
    YES = auto()
    """There must be a state."""
    AUTO = auto()
    """If there is a state; otherwise it starts."""


BOOKKEEPING = frozenset((
    "name", "version", "license", "training_data",
    "checkpoint_every", "validate_every", "workers", "cuda_graphs",
))  # fmt: skip
"""Settings that may change while a run goes on: the weights do not depend on them."""


def start(
    data: Sequence[str],
    folder: Path,
    config_file: Path | None,
    device: str,
    *,
    source: Path | None = None,
    keep: Sequence[str] = (),
    resume: Resume = Resume.NO,
) -> None:
    """Train on the pictures in `data`, in the run's `folder`; a resumed run keeps its own configuration.

    Args:
        source: the generator to fine-tune; None trains a new one.
        keep: folders with pictures of other kinds, on which a fine-tuned generator may lose little.

    Raises:
        UsageError: the configuration is not valid, the folder is not one, holds a run or lies inside `data`,
            or there is no device of this name.
        InputError: there are no pictures, or there is nothing to resume from; or fine-tuning gained nothing.
        SetupError: the device or the weights of a network are missing.
        Interrupted: a signal asked it to end; the state is saved.
    """
    target = choose_device(device)
    with ProcessGroup.join(target) as processes, own_stream(target):
        console = Console(stderr=True, quiet=not processes.is_main)
        config, resumes = processes.from_main(
            lambda: _configuration(data, folder, config_file, source, keep, resume=resume)
        )
        pack = _pack_on_each_node(data, folder, config, console, processes, resume=resumes)
        if config.initial_weights:
            config = replace(config, held_out=held_out_of(len(pack)))
        train(config, pack, folder, target, console, processes=processes, resume=resumes)
    if processes.is_main:
        if config.initial_weights:
            conclude(config, pack, folder, keep, console)
        console.print(f"Done: {folder / 'generator.safetensors'}", highlight=False, soft_wrap=True)


def _configuration(
    data: Sequence[str],
    folder: Path,
    config_file: Path | None,
    source: Path | None,
    keep: Sequence[str],
    *,
    resume: Resume,
) -> tuple[Config, bool]:
    """The run's configuration, and whether it goes on from a state."""
    check_folder(folder, "-o")
    kept, has_state = folder / "config.toml", (folder / STATE).exists()
    go_on = "continue it with --resume" if has_state else "start it again with --resume auto"
    if kept.exists() and resume is Resume.NO:
        raise UsageError(folder, "holds a training run", f"{go_on}, or name another folder")
    if not has_state and resume is Resume.YES:
        raise InputError(folder, "holds no run that can be continued", "start it with --resume auto")
    for pictures in data:
        if folder.resolve().is_relative_to(Path(pictures).resolve()):
            cause = f"lies inside {pictures}, so that its sample sheets would be trained on"
            raise UsageError(folder, cause, "put it elsewhere")
    resumes = has_state and resume is not Resume.NO
    if resumes and kept.exists():
        config = load_config(kept)
        if source is not None and not config.initial_weights:
            cause = "holds a run that did not begin with --from"
            raise UsageError(folder, cause, "leave --from out, or name another folder")
        config = _resumed(config, config_file)
    elif source is not None:
        find_pictures(data)  # before anything is written
        config = fine_tuning(source, folder, load_config(config_file) if config_file else SETTINGS)
    else:
        config = load_config(config_file) if config_file else Config()
    _check(config, keep)
    return config, resumes


def _check(config: Config, keep: Sequence[str]) -> None:
    """Find what would stop a run long after it has started.

    Raises:
        UsageError: there is no such network, or it cannot work at a size; or `keep` has no use.
        InputError: there are no pictures in `keep`.
    """
    if keep and not config.initial_weights:
        raise UsageError("--keep", "is for fine-tuning", "give --from MODEL, or leave it out")
    if keep:
        find_pictures(keep)
    network = GENERATORS.get(config.generator)
    if network is None:
        cause = f"no network is called {config.generator!r}"
        raise UsageError("generator", cause, f"networks are {', '.join(GENERATORS)}")
    sizes = {f"size of phase {phase.name}": phase.size for phase in config.phases}
    sizes |= {name: getattr(config, name) for name in ("statistics_size", "working_size")}
    for name, size in sizes.items():
        if size % network.multiple_of:
            cause = f"{config.generator} does not run at {size} pixels"
            raise UsageError(name, cause, f"set it to a multiple of {network.multiple_of}")


def _resumed(own: Config, config_file: Path | None) -> Config:
    """The configuration that a run goes on with: its own, with the bookkeeping of another one.

    Raises:
        UsageError: the other one would make it another run.
    """
    if config_file is None:
        return own
    other = load_config(config_file)
    names = [each.name for each in fields(Config) if getattr(own, each.name) != getattr(other, each.name)]
    if changed := [name for name in names if name not in BOOKKEEPING]:
        cause = f"differs from what the run began with in {', '.join(changed)}"
        raise UsageError(config_file, cause, "leave --config out, or start another run")
    return other


def _pack_on_each_node(
    data: Sequence[str],
    folder: Path,
    config: Config,
    console: Console,
    processes: ProcessGroup,
    *,
    resume: bool,
) -> Pack:
    """The pack of the pictures: the first process of each node makes the node's own, the others wait."""
    path = folder / f"pictures{processes.node or ''}.rgb"
    if processes.local_rank:
        processes.barrier()
    pack = _pack(find_pictures(data), path, config, console, resume=resume)
    if not processes.local_rank:
        processes.barrier()
    return pack


def _pack(files: Sequence[Path], path: Path, config: Config, console: Console, *, resume: bool) -> Pack:
    if resume:
        check_same_pictures(files, path)
    lines = ProgressLines(console, len(files))
    with progress_bar(console=console) as bar:
        task = bar.add_task("Decoding pictures", total=len(files))

        def show(done: int) -> None:
            bar.update(task, completed=done)
            lines.update("Decoding pictures", done, "pictures")

        pack = pack_pictures(files, path, config.data, show)
    counts = f"{pack.dull} left out for too little color, {len(pack.corrupt)} unreadable"
    console.print(f"{len(pack):,} pictures; {counts}")
    for name in pack.corrupt:
        console.print(f"  unreadable: {name}", highlight=False)
    return pack


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` -> an available device.

    Raises:
        SetupError: the device is not available.
        UsageError: no device has this name.
    """
    if name == "auto":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(name, "no such device", "give auto, cpu, cuda or cuda:N") from error
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        cause = str(error).splitlines()[0]
        raise SetupError(name, f"not available ({cause})", "use --device cpu or auto") from error
    return device
