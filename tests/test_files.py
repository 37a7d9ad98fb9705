import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from colorcli.errors import InputError, UsageError
from colorcli.files import LOCK_SECONDS, atomic_write, check_writable, locked, partial_path


def test_appears_whole(tmp_path: Path) -> None:
    output = tmp_path / "new" / "a.bin"
    with atomic_write(output) as partial:
        partial.write_bytes(b"1")
        assert not output.exists()
    assert output.read_bytes() == b"1"
    assert list(output.parent.iterdir()) == [output]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    output = tmp_path / "a.bin"
    output.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_write(output) as partial:
        partial.write_bytes(b"half")
        raise RuntimeError
    assert output.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [output]


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/a\.bin"), atomic_write(tmp_path / "file" / "a.bin"):
        pass


def test_two_writers_do_not_harm_each_other(tmp_path: Path) -> None:
    output = tmp_path / "a.bin"
    with atomic_write(output) as partial:
        partial.write_bytes(b"first")
        with pytest.raises(InputError, match="another run"), atomic_write(output):
            pass
    assert output.read_bytes() == b"first"


def test_leftovers_of_a_killed_run_are_replaced(tmp_path: Path) -> None:
    output = tmp_path / "a.bin"
    partial_path(output).write_bytes(b"half of something longer")
    with atomic_write(output) as partial:
        partial.write_bytes(b"whole")
    assert output.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("name", ["n" * 251 + ".jpg", "ü" * 125 + ".tiff"])
def test_the_longest_names_can_be_written(name: str, tmp_path: Path) -> None:
    with atomic_write(tmp_path / name) as partial:
        partial.write_bytes(b"1")
        assert partial.suffix == Path(name).suffix
    assert (tmp_path / name).exists()


def test_unwritable_outputs_are_found_before_work_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_writable(tmp_path / "new" / "folder" / "page.html", "--report")
    for place in (tmp_path, tmp_path / "file" / "page.html"):
        with pytest.raises(UsageError, match="--report"):
            check_writable(place, "--report")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize(("seconds", "granted"), [(LOCK_SECONDS / 4, True), (60.0, False)])
def test_a_lock_that_is_released_soon_is_waited_for(tmp_path: Path, seconds: float, granted: bool) -> None:
    lock, output = tmp_path / "lock", tmp_path / "out.mkv"
    command = [sys.executable, "-c", HOLD, str(lock), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        expected = nullcontext() if granted else pytest.raises(InputError, match="another run is writing it")
        with expected, locked(lock, output):
            pass
        other.kill()
