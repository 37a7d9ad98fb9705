"""What `colorcli train` refuses before it decodes a picture: one line, and nothing is written."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.cli import run_text


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for index in range(2):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((32, 32, 3), 100, np.uint8))
    return folder


def refusal(*words: object, code: int = 2) -> str:
    done = run_text("train", *words, columns=200)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("generator = 'unet'", "networks are mobile_unet, pix2pix_unet"),
        ("working_size = 100", "set it to a multiple of 32"),
        ("[[phases]]\nname = 'a'\ncrops = 8\nbatch = 4\nsize = 33", "size of phase a: "),
    ],
)
def test_what_no_network_can_do(data: Path, tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    assert cause in refusal(data, "-o", tmp_path / "run", "--config", tmp_path / "c.toml")
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_is_a_file(data: Path) -> None:
    assert "0.png: is a file; name a writable folder for -o" in refusal(data.parent, "-o", data / "0.png")


def test_nothing_to_continue(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert "--resume auto" in refusal(data, "-o", run, "--resume", code=1)
    assert not run.exists()
    run.mkdir()
    (run / "config.toml").touch()  # killed before its first checkpoint
    assert "--resume auto" in refusal(data, "-o", run)


def test_a_file_is_not_data(data: Path, tmp_path: Path) -> None:
    assert "0.png: is not a folder" in refusal(data / "0.png", "-o", tmp_path / "run", code=1)


def test_fine_tuning_without_pictures_writes_nothing(data: Path, tmp_path: Path) -> None:
    for words in (["none", "--from", "default"], [data, "--from", "default", "--keep", "none"]):
        assert "none: no such folder" in refusal(*words, "-o", tmp_path / "run", code=1)
    assert not (tmp_path / "run" / "pictures.rgb").exists()
    assert "give --from" in refusal(data, "-o", tmp_path / "run", "--keep", data)


def test_gray_pictures_are_refused_every_time(data: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = run_text("train", data, "-o", tmp_path / "run")
        assert done.returncode == 1
        assert "2 have too little color" in done.stderr


def test_an_unknown_device_is_named(data: Path, tmp_path: Path) -> None:
    assert "tpu: no such device" in refusal(data, "-o", tmp_path / "run", "--device", "tpu")
