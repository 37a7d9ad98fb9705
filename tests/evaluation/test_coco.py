"""COCO's sample is the same on every machine, and its test part is never trained on."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from support.cli import run_cli

from colorcli.errors import InputError
from colorcli.evaluation import coco, pictures

ENTRIES = 10_500


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def served(path: Path, entries: int) -> str:
    """The address of a stand-in for the archive, whose pictures are empty."""
    with tarfile.open(path, "w:gz", compresslevel=1) as packed:
        for index in range(entries):
            packed.addfile(tarfile.TarInfo(f"coco_sample/train_sample/{index:012d}.jpg"), io.BytesIO())
    return path.as_uri()


def test_eight_thousand_to_train_on_and_two_to_test(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco, "URL", served(home / "there.tgz", ENTRIES))
    chosen = coco.coco_sample()
    monkeypatch.setattr(coco, "URL", "file:///nowhere")
    assert pictures.find_pictures([coco.NAME]) == chosen[:8_000]
    assert len(set(chosen)) == 10_000
    assert coco.coco_sample() == chosen
    assert sorted(path.name for path in (home / ".fastai" / "data").iterdir()) == ["coco_sample"]


def test_a_broken_archive_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco, "URL", served(home / "there.tgz", 5))
    with pytest.raises(InputError, match="5 pictures instead of 10,000"):
        coco.coco_sample()
    (home / ".fastai" / "data" / "coco_sample").rename(home / "away")
    (home / ".fastai" / "archive" / "coco_sample.tgz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"coco_sample\.tgz: cannot be unpacked"):
        coco.coco_sample()


def test_without_a_network_one_line_says_so(home: Path) -> None:
    unreachable = os.environ | {"HOME": str(home), "https_proxy": "http://127.0.0.1:9"}
    run = run_cli("train", coco.NAME, "-o", home / "run", env=unreachable)
    (line,) = run.stderr.decode().splitlines()
    assert run.returncode == 1
    assert line.startswith("colorcli: coco-sample: cannot be downloaded (")
    assert "give a folder of pictures" in line
