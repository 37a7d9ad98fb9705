"""GIFs: a still one becomes a PNG, an animated one a film."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from support.cli import run_cli
from support.images import gray
from support.scenes import scene

from colorcli.images.codecs.animation import is_animated_gif


def gif(path: Path, frames: int, **options: object) -> Path:
    first, *rest = (Image.fromarray(np.roll(scene(64, 96), 5 * step, axis=1)) for step in range(frames))
    first.save(path, save_all=True, append_images=rest, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"comment": b"scanned 1998", "transparency": 0}, {"loop": 0}])
def test_frames_are_counted(options: dict[str, object], tmp_path: Path) -> None:
    assert not is_animated_gif(gif(tmp_path / "still.gif", 1, **options))
    moving = gif(tmp_path / "moving.gif", 3, **options)
    assert is_animated_gif(moving)
    data = moving.read_bytes()
    second = data.rindex(b"!\xf9", 0, data.rindex(b"!\xf9"))
    (tmp_path / "stray.gif").write_bytes(data[:second] + bytes(3) + data[second:])
    assert is_animated_gif(tmp_path / "stray.gif")
    for size in range(0, 3000, 250):
        (tmp_path / "cut.gif").write_bytes(moving.read_bytes()[:size])
        is_animated_gif(tmp_path / "cut.gif")


@pytest.mark.parametrize("whole_folder", [True, False])
def test_still_and_moving(whole_folder: bool, tmp_path: Path, toy_model: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    still = gif(folder / "still.gif", 1)
    moving = gif(folder / "moving.gif", 3, duration=80, comment=b"scanned \xa8 1998")  # no UTF-8
    tiny = folder / "tiny.gif"
    Image.new("L", (2, 3)).save(tiny, save_all=True, append_images=[Image.new("L", (2, 3), 255)], duration=80)
    inputs = [folder] if whole_folder else [still, moving, tiny]
    run = run_cli("run", *inputs, "-o", out, "--model", toy_model)
    assert run.returncode == 0, run.stderr
    assert {path.name for path in out.iterdir() if path.is_file()} == {"still.png", "moving.mkv", "tiny.mkv"}
    with Image.open(still) as before, Image.open(out / "still.png") as after:
        assert np.abs(gray(np.asarray(after.convert("RGB"))) - np.asarray(before.convert("L"))).max() <= 1
    with Image.open(moving) as before, av.open(str(out / "moving.mkv"), metadata_errors="replace") as film:
        for number, frame in enumerate(film.decode(video=0)):
            before.seek(number)
            shown = np.asarray(before.convert("L"))
            assert np.abs(gray(frame.to_ndarray(format="rgb24")) - shown).max() <= 1
            assert frame.time == pytest.approx(0.08 * number)
        assert number == 2
