"""Object stores: the files and the bytes are those of a run on local folders."""

import os
from functools import partial
from pathlib import Path

import pytest
from support.cli import events, leftovers, run_cli
from support.scans import contents, pictures
from support.videos import gray, make

from colorcli.events import Event
from colorcli.jobs.executors import InProcessExecutor
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.plan import make_plan
from colorcli.jobs.run import run_jobs
from colorcli.jobs.storage import url_of
from colorcli.options import ColorOptions, Existing, RunOptions

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'colorcli[storage]'")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("s3://bucket/a b/c.png", "s3://bucket/a b/c.png"),
        ("memory://x/y", "memory://x/y"),
        ("file:///tmp/x", "file:///tmp/x"),
        ("folder/a.png", None),
        ("/a/b:/c.png", None),
    ],
)
def test_addresses_survive_as_paths(name: str, url: str | None) -> None:
    assert url_of(Path(name)) == url
    assert url_of(Path(name) / "d.png") == (url and f"{url}/d.png")


def test_a_tree_on_a_store_equals_a_local_one(tmp_path: Path, toy_model: Path) -> None:
    run = partial(run_cli, env=os.environ)  # in processes, which clean up when they end
    pictures(tmp_path / "in" / "box", 3)
    make(tmp_path / "in" / "film.mkv", *gray(1, "96x64"), "-c:v", "ffv1")
    (tmp_path / "in" / "notes.txt").write_text("text")
    common = ("--model", toy_model, "--json")
    assert run("run", tmp_path / "in", "-o", tmp_path / "a", *common).returncode == 0
    there, out = f"file://{tmp_path}/in", f"file://{tmp_path}/b"
    done = run("run", there, "-o", out, *common)
    assert done.returncode == 0, done.stderr
    here = contents(tmp_path / "a")
    remote = contents(tmp_path / "b")
    assert here.keys() == remote.keys()
    assert all(here[name] == remote[name] for name in here if name.endswith(("png", "jpg")))
    assert not leftovers(tmp_path / "b")
    again = events(run("run", there, "-o", out, *common, "--resume").stdout)
    assert again[-1]["skipped"] == 4
    assert run("run", there, "-o", out, *common, "--resume", "--saturation", "2").returncode == 4
    merged = events(run("merge", out, "--json").stdout)
    assert merged[-1]["colorized"] == 4
    refused = run("run", there, "-o", out, *common, "--join")
    assert refused.returncode == 2


def test_objects_are_published_whole_and_named_in_errors(tmp_path: Path, toy_model: Path) -> None:
    (source,) = pictures(tmp_path, 1)
    store = fsspec.filesystem("memory")
    store.pipe({"/in/a.png": source.read_bytes(), "/in/bad.jpg": b"text"})
    options = RunOptions(color=ColorOptions((toy_model,)))
    told: list[Event] = []
    inputs, out = [Path("memory://in")], Path("memory://out")
    plan = make_plan(inputs, out, options, told.append)
    summary = run_jobs(plan, options, told.append, InProcessExecutor(options))
    assert (summary.colorized, summary.failed) == (1, 1)
    local = Job(source, tmp_path / "out.png", Kind.IMAGE)
    run_jobs([local], options, told.append, InProcessExecutor(options))
    assert store.cat("/out/a.png") == local.output.read_bytes()
    assert [Path(name).name for name in store.find("/out")] == ["a.png"]
    (failed,) = [event for event in told if event.event == "failed"]
    assert failed.input == str(inputs[0] / "bad.jpg")
    assert "/tmp" not in failed.cause
    resumed = RunOptions(color=options.color, existing=Existing.RESUME)
    assert next(job.skip for job in make_plan(inputs, out, resumed, told.append))
