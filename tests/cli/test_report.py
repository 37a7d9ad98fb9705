"""The HTML report, driven in a real browser where one is installed."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.scenes import scene

from colorcli.cli.report import HtmlReport
from colorcli.events import Done, Failed, Note, Summary

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
wait(100);
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


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]


def driven(page: Path) -> dict[str, Any]:
    """The state of the page after a browser has run `DRIVE` on it."""
    page.write_text(page.read_text().replace("</html>", DRIVE + "</html>"))
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900",
        "--virtual-time-budget=8000", "--dump-dom", page.as_uri(),
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
