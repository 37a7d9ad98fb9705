"""The HTML report, driven in a real browser where one is installed."""

import base64
import html
import json
import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.cli import data_of
from support.scenes import scene

from colorcli.cli.report import HtmlReport
from colorcli.events import Done, Failed, Note, ShotDone, Summary
from colorcli.video.shot_list import COLUMNS, read_shots

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

NASTY = "</script><b>&'\".png"

DRIVE = """
<script>
const press = key => document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const button = status => document.querySelector(`button[data-status=${status}]`);
const visible = () => cards.filter(card => !card.hidden).length;
const result = {};
const loaded = () => [...document.querySelectorAll("main img")].filter(one => one.naturalWidth > 0).length;
const drive = () => {
  result.images = loaded();
  result.cards = visible();
  button("failed").click(); result.failed = visible();
  button("all").click();
  search.value = "two"; search.dispatchEvent(new Event("input")); result.searched = visible();
  search.value = ""; search.dispatchEvent(new Event("input"));
  cards[0].click(); result.open = viewer.open; result.first = viewer.querySelector(".name").textContent;
  press("ArrowRight"); result.second = viewer.querySelector(".name").textContent;
  press("ArrowUp"); result.slider = slider.value;
  press("ArrowRight"); result.last = viewer.querySelector(".name").textContent;
  viewer.close();
  result.clip = getComputedStyle(document.querySelector(".pair .before")).clipPath;
  const output = Object.assign(document.createElement("pre"), { id: "result" });
  output.textContent = JSON.stringify(result);
  document.body.append(output);
};
const wait = turns => loaded() >= 4 || !turns ? drive() : setTimeout(wait, 50, turns - 1);
wait(1000);
</script>
"""


def report(path: Path, count: int = 2) -> Path:
    names = ["one.png", NASTY.replace("/", "_"), *(f"more-{number}.png" for number in range(count - 2))]
    with HtmlReport(path) as sink:
        for name in names:
            source, output = path.parent / name, path.parent / f"out-{name}"
            Image.fromarray(scene()).save(source)
            Image.fromarray(np.stack([scene()] * 3, axis=2)).save(output)
            sink(Done(str(source), str(output)))
        sink(Failed("two.jpg", "<i>truncated</i>", "copy it again", 1))
        sink(Note("three.txt", "left out"))
        sink(Summary(count, 0, 0, 1, 3.0, 1))
    return path


FILM_DRIVE = """
<script>
const result = {};
const copied = [];
copy = text => copied.push(text);
const numbers = () => [...grid.children].slice(0, 3).map(one => +one.dataset.number);
const drive = () => {
  const shots = cards.filter(one => one.classList.contains("shot"));
  result.shots = shots.length;
  result.drawn = [...document.querySelectorAll("main img")].filter(one => one.naturalWidth > 0).length;
  result.order = numbers();
  sort.click(); result.unsure = numbers();
  shots[1].querySelector(".copy").click();
  shots[1].click(); result.open = viewer.open;
  document.getElementById("shotline").click();
  const image = viewer.querySelector(".after");
  const pair = viewer.querySelector(".pair");
  const scale = Math.min(pair.clientWidth / image.naturalWidth, pair.clientHeight / image.naturalHeight);
  copied.push(hint(image, data.entries[shots[1].dataset.number].shot, pair.clientWidth / 2 + scale * 20,
    pair.clientHeight / 2));
  result.outside = hint(image, data.entries[shots[1].dataset.number].shot, 1, 1);
  result.copied = copied;
  viewer.close();
  search.value = "keeps its color"; search.dispatchEvent(new Event("input"));
  result.searched = cards.filter(card => !card.hidden).length;
  const output = Object.assign(document.createElement("pre"), { id: "result" });
  output.textContent = JSON.stringify(result);
  document.body.append(output);
};
const wait = turns => document.querySelector("main img")?.naturalWidth > 0 || !turns
  ? drive() : setTimeout(wait, 50, turns - 1);
wait(1000);
</script>
"""


def film_report(path: Path, count: int) -> Path:
    """A page of a film whose second shot is the least sure and whose last keeps its color."""
    after = Image.new("RGB", (160, 120), (200, 40, 90))
    coded = BytesIO()
    after.save(coded, "webp", lossless=True)
    picture = base64.b64encode(coded.getvalue()).decode()
    with HtmlReport(path) as sink:
        for number in range(1, count + 1):
            last = number == count
            sink(
                ShotDone(
                    "film.mkv", number, 50 * number - 50, 50 * number, 25.0,
                    "cut, keeps its color" if last else "cut",
                    None if last else 0.4 if number == 2 else 0.9, 50 * number - 40, (640, 480),
                    picture, picture,
                )
            )  # fmt: skip
    return path


def driven(page: Path, script: str = DRIVE) -> dict[str, Any]:
    """The state of the page after a browser has run a script on it."""
    page.write_text(page.read_text().replace("</html>", script + "</html>"))
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900",
        "--virtual-time-budget=60000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="result">(.*?)</pre>', run.stdout, re.S)
    assert found, "the page's script has stopped"
    return json.loads(html.unescape(found[1]))  # type: ignore[no-any-return]


def test_the_page_needs_no_other_file(tmp_path: Path) -> None:
    page = report(tmp_path / "report.html").read_text()
    assert not re.findall(r'(?:src|href)\s*=\s*"(?!data:)[^"]', page)
    assert "http" not in page.replace("http-equiv", "")
    data = data_of(page)
    assert [entry["status"] for entry in data["entries"]] == ["colorized", "colorized", "failed"]
    assert all(entry["before"] and entry["after"] for entry in data["entries"][:2])
    assert data["notes"] == [{"name": "three.txt", "message": "left out"}]


def test_what_cannot_be_shown_is_left_out(tmp_path: Path) -> None:
    with HtmlReport(tmp_path / "report.html") as sink:
        sink(Done(str(tmp_path / "none.png"), str(tmp_path / "none-either.png"), "skipped"))
    (entry,) = data_of((tmp_path / "report.html").read_text())["entries"]
    assert (entry["before"], entry["after"]) == (None, None)


def test_many_pictures_are_shown_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colorcli.cli.report.MANY", 3)
    monkeypatch.setattr("colorcli.cli.report.SIDE_OF_MANY", 40)
    sizes = [
        len(entry["after"]) for entry in data_of(report(tmp_path / "r.html", 6).read_text())["entries"][:6]
    ]
    assert min(sizes[:3]) > 1.5 * max(sizes[3:])


@browser
def test_it_works_in_a_browser(tmp_path: Path) -> None:
    result = driven(report(tmp_path / "report.html"))
    assert result["images"] == 4
    assert (result["cards"], result["failed"], result["searched"]) == (3, 1, 1)
    assert result["open"] is True
    assert result["first"].endswith("one.png")
    assert result["second"].endswith(NASTY.replace("/", "_"))
    assert result["last"] == result["second"], "failures are not opened"
    assert result["slider"] == "60"
    assert "50%" in result["clip"]


@browser
def test_a_film_of_two_thousand_shots_works_in_a_browser(tmp_path: Path) -> None:
    result = driven(film_report(tmp_path / "film.html", 2000), FILM_DRIVE)
    assert result["shots"] == 2000
    assert 0 < result["drawn"] < 400, "only pictures near the window are decoded"
    assert result["order"] == [0, 1, 2]
    assert result["unsure"] == [1, 0, 2]
    assert result["open"] is True
    row, again, hint = result["copied"]
    assert row == again == "50,100,00:00:02.000,1,0,0,,no"
    point = json.loads(hint)
    assert point["frame"] == 60
    assert (point["x"], point["y"]) == pytest.approx((400, 240), abs=2)
    rgb = [int(point["color"][place : place + 2], 16) for place in (1, 3, 5)]
    assert np.abs(np.subtract(rgb, (200, 40, 90))).max() <= 3
    assert result["outside"] is None
    assert result["searched"] == 1


def test_a_copied_line_is_a_row_of_a_shot_list(tmp_path: Path) -> None:
    entries = data_of(film_report(tmp_path / "film.html", 3).read_text())["entries"]
    rows = [entry["shot"]["line"] for entry in entries]
    (tmp_path / "shots.csv").write_text("\n".join([",".join(COLUMNS), *rows]))
    assert [(one.start, one.end) for one in read_shots(tmp_path / "shots.csv")] == [
        (0, 50),
        (50, 100),
        (100, 150),
    ]
