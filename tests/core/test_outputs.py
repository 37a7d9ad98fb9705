from pathlib import Path

import pytest

from colorcli.core.errors import InputError
from colorcli.core.outputs import whole_file


def test_appears_whole(tmp_path: Path) -> None:
    output = tmp_path / "new" / "a.bin"
    with whole_file(output) as partial:
        partial.write_bytes(b"1")
        assert not output.exists()
    assert output.read_bytes() == b"1"
    assert list(output.parent.iterdir()) == [output]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    output = tmp_path / "a.bin"
    output.write_bytes(b"old")
    with pytest.raises(RuntimeError), whole_file(output) as partial:
        partial.write_bytes(b"half")
        raise RuntimeError
    assert output.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [output]


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/a\.bin"), whole_file(tmp_path / "file" / "a.bin"):
        pass
