"""Every executor does every job, with the same result, and survives what a job raises."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import pytest
from PIL import Image
from support import workers
from support.scenes import scene

from colorcli.engines.device import spread
from colorcli.errors import ColorcliError, ExitCode
from colorcli.events import Done, Event, Failed, Started
from colorcli.jobs.execute import Context, execute, open_context
from colorcli.jobs.executors import Executor, InProcessExecutor, ProcessPoolExecutor
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.run import run_jobs
from colorcli.options import ColorOptions, RunOptions, VideoOptions

CLIP = Path(__file__).parents[2] / "examples" / "market_street_1906.mkv"

MakeExecutor = Callable[[RunOptions], Executor]
both = pytest.mark.parametrize("make", [InProcessExecutor, ProcessPoolExecutor])


@pytest.fixture
def options(toy_model: Path) -> RunOptions:
    return RunOptions(color=ColorOptions(toy_model), video=VideoOptions(end="12f", codec="ffv1"))


def jobs_for(folder: Path, output: Path) -> list[Job]:
    """One image and one film."""
    image = folder / "image.png"
    Image.fromarray(scene()).save(image)
    return [Job(image, output / "image.png", Kind.IMAGE), Job(CLIP, output / "film.mkv", Kind.VIDEO)]


def frames(film: Path) -> list[bytes]:
    with av.open(str(film)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


@both
def test_an_executor_does_images_and_film(make: MakeExecutor, tmp_path: Path, options: RunOptions) -> None:
    jobs = jobs_for(tmp_path, tmp_path / "out")
    told: list[Event] = []
    summary = run_jobs(jobs, options, told.append, make(options))
    assert (summary.colorized, summary.failed, summary.exit_code) == (2, 0, ExitCode.OK)
    for job in jobs:
        mine = [event for event in told if getattr(event, "input", None) == str(job.source)]
        assert isinstance(mine[0], Started)
        assert isinstance(mine[-1], Done)
        assert job.output.stat().st_size > 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["film.mkv", "image.png"]


def test_the_executors_agree(tmp_path: Path, options: RunOptions) -> None:
    for name, executor in {"a": InProcessExecutor(options), "b": ProcessPoolExecutor(options)}.items():
        run_jobs(jobs_for(tmp_path, tmp_path / name), options, lambda event: None, executor)
    assert (tmp_path / "a" / "image.png").read_bytes() == (tmp_path / "b" / "image.png").read_bytes()
    # A Matroska file carries a random identifier, so the frames are compared.
    assert frames(tmp_path / "a" / "film.mkv") == frames(tmp_path / "b" / "film.mkv")


@both
def test_a_bad_file_does_not_stop_the_others(make: MakeExecutor, tmp_path: Path, options: RunOptions) -> None:
    good, film = jobs_for(tmp_path, tmp_path / "out")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    told: list[Event] = []
    jobs = [Job(broken, tmp_path / "out" / "broken.png", Kind.IMAGE), good, film]
    summary = run_jobs(jobs, options, told.append, make(options))
    assert (summary.colorized, summary.failed) == (2, 1)
    (failed,) = [event for event in told if isinstance(event, Failed)]
    assert failed.input == str(broken)


def test_an_unexpected_error_is_called_a_bug_and_harms_nothing(
    tmp_path: Path, options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _ = jobs_for(tmp_path, tmp_path / "out")
    before = image.source.read_bytes()

    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("colorcli.images.colorize.colorize_image", broken)
    with open_context(options) as context, pytest.raises(ColorcliError) as caught:
        execute(image, context, lambda event: None)
    assert "unexpected error in colorcli" in caught.value.cause
    assert "report this" in caught.value.remedy
    assert image.source.read_bytes() == before
    assert not image.output.exists()


def test_doing_a_job_twice_gives_the_same(tmp_path: Path, options: RunOptions) -> None:
    image, _ = jobs_for(tmp_path, tmp_path / "out")
    with open_context(options) as context:
        assert isinstance(context, Context)
        first = execute(image, context, lambda event: None), image.output.read_bytes()
        assert (execute(image, context, lambda event: None), image.output.read_bytes()) == first


@both
def test_no_job_starts_after_a_failure_if_asked(
    make: MakeExecutor, tmp_path: Path, options: RunOptions
) -> None:
    image, _ = jobs_for(tmp_path, tmp_path / "out")
    copies = []
    for number in range(8):
        source = tmp_path / f"{number}.png"
        shutil.copyfile(image.source, source)
        copies.append(Job(source, tmp_path / "out" / source.name, Kind.IMAGE))
    told: list[Event] = []
    options = replace(options, fail_fast=True, max_pixels=1)
    run_jobs(copies, options, told.append, make(options))
    started = [event for event in told if isinstance(event, Started)]
    failed = [event for event in told if isinstance(event, Failed)]
    assert 0 < len(started) == len(failed) < len(copies)


def test_workers_are_spread_over_the_cards(tmp_path: Path) -> None:
    options = RunOptions(color=ColorOptions(device="cuda:0,2,3"), jobs=3)
    jobs = [
        Job(tmp_path / f"{number}.png", tmp_path / "out" / f"{number}.png", Kind.IMAGE)
        for number in range(12)
    ]
    jobs.insert(3, Job(tmp_path / "crash.png", tmp_path / "out" / "crash.png", Kind.IMAGE))
    told: list[Event] = []
    run_jobs(jobs, options, told.append, ProcessPoolExecutor(options, workers.devices))
    used = [event.facts["device"] for event in told if isinstance(event, Done)]
    assert len(used) == 12
    assert set(used) == {"cuda:0", "cuda:2", "cuda:3"}
    assert spread("cuda:1") == ["cuda:1"]
    assert spread("tensorrt:0,1") == ["tensorrt:0", "tensorrt:1"]
