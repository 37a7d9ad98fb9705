"""`coco-sample`: 10,000 pictures of COCO, as in Shariatnia's pix2pix tutorial, downloaded once.

The archive is fastai's COCO_SAMPLE. It is kept where fastai keeps it, so that neither downloads it again.
"""

import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np

from colorcli.errors import InputError
from colorcli.files import atomic_write

NAME = "coco-sample"
"""The name that stands for a folder on the command line."""
URL = "https://s3.amazonaws.com/fast-ai-coco/coco_sample.tgz"
SEED, COUNT, TEST = 123, 10_000, 2_000
SECONDS = 30
"""How long to wait for an answer of the server."""


def coco_sample() -> list[Path]:
    """10,000 pictures: 8,000 for training, then 2,000 for testing; the same on every machine.

    Raises:
        InputError: they can neither be found nor downloaded.
    """
    files = np.array(sorted(_folder().rglob("*.jpg")))
    if len(files) < COUNT:
        raise InputError(
            NAME, f"{len(files)} pictures instead of {COUNT:,}", f"remove {_home()}, start again"
        )
    random = np.random.RandomState(SEED)
    chosen = random.choice(files, COUNT, replace=False)
    return list(chosen[random.permutation(COUNT)])


def _home() -> Path:
    return Path.home() / ".fastai"


def _folder() -> Path:
    """The pictures, downloaded and unpacked if need be; each step is done whole or not at all."""
    folder = _home() / "data" / "coco_sample"
    if not folder.is_dir():
        archive = _archive()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            try:
                with tarfile.open(archive) as packed:
                    packed.extractall(place, filter="data")
            except (tarfile.TarError, EOFError, OSError) as error:
                raise InputError(
                    archive, f"cannot be unpacked ({error})", "remove it, start again"
                ) from error
            inner = Path(place) / folder.name
            (inner if inner.is_dir() else Path(place)).rename(folder)
            Path(place).mkdir(exist_ok=True)  # for its own removal
    return folder


def _archive() -> Path:
    archive = _home() / "archive" / "coco_sample.tgz"
    if not archive.exists():
        try:
            with urlopen(URL, timeout=SECONDS) as answer, atomic_write(archive) as partial:
                _copy(answer, partial)
        except (URLError, TimeoutError) as error:
            cause = f"cannot be downloaded ({getattr(error, 'reason', error)})"
            remedy = f"give a folder of pictures, or put {URL} into {archive.parent}"
            raise InputError(NAME, cause, remedy) from error
    return archive


def _copy(answer: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(answer, file, 1 << 20)
