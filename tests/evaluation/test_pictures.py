"""Finding pictures; COCO's sample is the same on every machine, and its test part is never trained on."""

from pathlib import Path

import pytest

from colorcli.errors import InputError
from colorcli.evaluation import pictures


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the archive, which is downloaded where there is a network."""
    monkeypatch.setenv("HOME", str(tmp_path))
    fastdownload = pytest.importorskip("fastdownload")
    (tmp_path / "train_sample").mkdir()
    for index in range(pictures.COCO_COUNT + 500):
        (tmp_path / "train_sample" / f"{index:012d}.jpg").touch()
    monkeypatch.setattr(fastdownload.FastDownload, "get", lambda self, url: tmp_path)
    return tmp_path


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # fastdownload leaves a file open
def test_eight_thousand_to_train_on_and_two_to_test(downloaded: Path) -> None:
    chosen = pictures.coco_sample()
    training = pictures.find_pictures([pictures.COCO_SAMPLE])
    assert len(set(chosen)) == 10_000
    assert training == chosen[:8_000]
    assert pictures.coco_sample() == chosen


@pytest.mark.parametrize("data", [["missing"], ["."]])
def test_a_folder_without_pictures_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=data[0]):
        pictures.find_pictures(data)
