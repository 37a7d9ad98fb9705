"""Finding pictures."""

from pathlib import Path

import pytest

from colorcli.errors import InputError
from colorcli.evaluation import pictures


@pytest.mark.parametrize("data", [["missing"], ["."]])
def test_a_folder_without_pictures_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=data[0]):
        pictures.find_pictures(data)
