"""`colorcli touch` in a real browser, and its server against strangers."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from support.browser import BROWSER, Page, browser
from support.cli import run_cli, started
from support.images import gray, load, save
from support.scenes import scene
from support.videos import gray as gray_film
from support.videos import make, run

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
COLOR = "#b02030"


@contextmanager
def touching(source: Path, *flags: object) -> Iterator[str]:
    """Run the command; the address that it prints."""
    process = started("touch", source, "--no-browser", *flags)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def ask(address: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data, headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("picture") / "photo.png", scene(160, 240))


def point_and_color(page: Page) -> None:
    """Click a third into the picture, and choose a color."""
    page.wait_for("typeof frame !== 'undefined' && drawn > 0 && picture.naturalWidth > 0")
    box = page.evaluate(
        "(({left, top, width, height}) => [left, top, width, height])(picture.getBoundingClientRect())"
    )
    left, top, width, height = box
    before = page.evaluate("picture.src")
    page.click(left + width / 3, top + height / 2)
    page.wait_for("own().length === 1")
    page.evaluate(f"color.value = '{COLOR}'; color.dispatchEvent(new Event('input'))")
    page.wait_for(f"drawn === asked && !running && picture.src !== '{before}'")


@needs_browser
def test_a_click_colors_the_picture_and_run_gives_the_same(
    picture: Path, toy_model: Path, tmp_path: Path
) -> None:
    hints = tmp_path / "hints.json"
    with touching(picture, "-o", hints, "--model", toy_model) as address, browser(tmp_path / "b") as page:
        page.open(address)
        point_and_color(page)
        shown = page.evaluate(
            "(async () => { const c = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight);"
            "const p = c.getContext('2d'); p.drawImage(picture, 0, 0);"
            "return [...p.getImageData(0, 0, c.width, c.height).data]; })()"
        )
        page.evaluate("document.getElementById('save').click()")
        page.wait_for("document.getElementById('status').textContent.includes('--hints')")
        page.screenshot(tmp_path / "touch.png")
    (hint,) = json.loads(hints.read_text())
    assert (hint["x"], hint["y"]) == pytest.approx((80, 80), abs=2)
    assert hint["color"] == COLOR
    done = run_cli("run", picture, "-o", tmp_path / "color.png", "--hints", hints, "--model", toy_model)
    assert done.returncode == 0, done.stderr.decode()
    colored = load(tmp_path / "color.png")
    np.testing.assert_array_equal(gray(colored), gray(load(picture)))
    seen = np.array(shown, np.uint8).reshape(160, 240, 4)[..., :3]
    assert np.abs(seen.astype(int) - colored).mean() < 3, "what was seen is not what run gives"
    there = colored[hint["y"], hint["x"]].astype(int)
    assert there[0] - there[2] > 60


def test_saved_hints_are_there_the_next_time(picture: Path, toy_model: Path, tmp_path: Path) -> None:
    hints = tmp_path / "hints.json"
    wanted = [{"x": 80, "y": 80, "color": COLOR}]
    with touching(picture, "-o", hints, "--model", toy_model) as address:
        status, answer = ask(f"{address}save", {"hints": {"0": wanted}})
        assert status == 200
        assert json.loads(answer)["flags"] == f"--hints {hints}"
        assert json.loads(ask(f"{address}state")[1])["hints"] == {"0": wanted}


def test_strangers_are_refused(picture: Path, toy_model: Path, tmp_path: Path) -> None:
    with touching(picture, "-o", tmp_path / "h.json", "--model", toy_model) as address:
        root = address.rsplit("/", 2)[0]
        assert address.startswith("http://127.0.0.1:")
        assert ask(address)[0] == 200
        for other in (f"{root}/", f"{root}/guessed/", f"{root}/guessed/state"):
            assert ask(other)[0] == 403
        assert ask(f"{root}/guessed/save", {"hints": {}})[0] == 403
        assert ask(address, Host="attacker.example")[0] == 403, "a web page that was rebound to this machine"
        assert ask(f"{address}../../etc/passwd")[0] in (403, 404)
        assert not (tmp_path / "h.json").exists()


DAMAGED: list[object] = [
    {"x": -1, "y": 0, "color": COLOR}, {"x": 0, "y": 160, "color": COLOR},
    {"x": "nan", "y": 0, "color": COLOR}, {"x": 0, "y": 0, "color": "reddish"}, {"x": 0}, 7,
]  # fmt: skip


def test_a_damaged_hint_is_answered_with_its_cause_and_not_saved(
    picture: Path, toy_model: Path, tmp_path: Path
) -> None:
    with touching(picture, "-o", tmp_path / "h.json", "--model", toy_model) as address:
        for hint in DAMAGED:
            for name, body in (("color", {"frame": 0, "hints": [hint]}), ("save", {"hints": {"0": [hint]}})):
                status, cause = ask(address + name, body)
                assert status == 400
                assert cause
        assert ask(f"{address}color", {"frame": 0, "hints": []})[0] == 200
        assert not (tmp_path / "h.json").exists()


def test_hints_of_a_frame_that_is_not_shown_stay(toy_model: Path, tmp_path: Path) -> None:
    film = make(tmp_path / "film.mkv", *gray_film(0.4, "96x64"), "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    hints = tmp_path / "refs" / "hints.json"
    hints.parent.mkdir()
    hint = {"x": 20, "y": 30, "color": COLOR}
    hints.write_text(json.dumps([{"frame": 0, **hint}]))
    with touching(film, "-o", hints.parent, "--model", toy_model) as address:
        while not (state := json.loads(ask(f"{address}state")[1]))["complete"]:
            time.sleep(0.05)
        number = state["frames"][0]["number"]
        assert ask(f"{address}save", {"hints": {"0": [hint], str(number): [hint]}})[0] == 200
        assert ask(f"{address}save", {"hints": {"1": [hint]}})[0] == 400, "there is no such frame"
    assert json.loads(hints.read_text()) == [{"frame": frame, **hint} for frame in (0, number)]
    assert [path.name for path in hints.parent.glob("*.png")] == [f"{number:06d}.png"]


def test_hints_that_cannot_be_read_are_not_replaced(picture: Path, toy_model: Path, tmp_path: Path) -> None:
    film = make(tmp_path / "film.mkv", *gray_film(0.1, "96x64"), "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    hints = tmp_path / "refs" / "hints.json"
    hints.parent.mkdir()
    hints.write_text("[{")
    for source, output in ((picture, hints), (film, hints.parent)):
        done = run_cli("touch", source, "-o", output, "--model", toy_model, "--no-browser")
        assert done.returncode == 2
        assert f"{hints}: ".encode() in done.stderr
    assert hints.read_text() == "[{"


@needs_browser
def test_a_touched_shot_of_a_film_is_a_reference(toy_model: Path, tmp_path: Path) -> None:
    film = make(tmp_path / "film.mkv", *gray_film(0.8, "96x64"), "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    folder = tmp_path / "refs"
    with touching(film, "-o", folder, "--model", toy_model) as address, browser(tmp_path / "b") as page:
        page.open(address)
        point_and_color(page)
        assert page.evaluate("document.querySelectorAll('#frames button').length") == 1
        page.evaluate("document.getElementById('save').click()")
        page.wait_for("document.getElementById('status').textContent.includes('--references')")
    (hint,) = json.loads((folder / "hints.json").read_text())
    (reference,) = folder.glob("*.png")
    assert int(reference.stem) == hint["frame"]
    touched = np.asarray(Image.open(reference).convert("RGB")).astype(int)
    assert touched[hint["y"], hint["x"], 0] > 100
    run(toy_model, film, tmp_path / "color.mkv", "--hints", folder / "hints.json")
    with av.open(tmp_path / "color.mkv") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    seen = np.abs(frames[hint["frame"]].astype(int) - touched)
    assert seen.mean() < 8, "what was seen is not what run gives"
