"""A cluster gives what one machine gives, and loses nothing when nodes, actors or the driver die."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.broken import BROKEN, write_all
from support.cli import events, leftovers, run_cli, started
from support.scans import contents, pictures
from support.videos import bitstream, gray, make

from colorcli.jobs.state import LOST_AFTER

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]
ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'colorcli[cluster]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that does no work, and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    quick = {
        "health_check_period_ms": 1000,
        "health_check_failure_threshold": 5,
        "health_check_initial_delay_ms": 0,
    }
    head = {
        "num_cpus": 0,
        "_system_config": quick,
        "include_dashboard": False,
        "object_store_memory": 80_000_000,
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        add_node(cluster)
    yield cluster
    cluster.shutdown()


def add_node(cluster: Any) -> Any:
    return cluster.add_node(num_cpus=1, object_store_memory=80_000_000)


def on(cluster: Any, *arguments: object) -> subprocess.Popen[bytes]:
    return started("run", *arguments, "--cluster", cluster.address, "--json")


def finished(run: subprocess.Popen[bytes]) -> bytes:
    """What else a run writes; one that does not end is killed."""
    try:
        return run.communicate(timeout=100)[0]
    finally:
        run.kill()
        run.wait()


def wait_for(run: subprocess.Popen[bytes], event: str) -> None:
    assert run.stdout is not None
    assert any(json.loads(line)["event"] == event for line in run.stdout), "the run ended early"


def actors() -> list[int]:
    """The processes of actors that are doing something."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            if path.read_bytes().startswith(b"ray::ClusterWorker.run"):
                found.append(int(path.parent.name))
    return found


def outputs(folder: Path) -> dict[str, object]:
    """What is in the outputs; of a film its packets, for Matroska carries a random identifier."""
    found: dict[str, object] = dict(contents(folder))
    return {name: bitstream(folder / name) if name.endswith(".mkv") else found[name] for name in found}


def merged_once(out: Path) -> None:
    """Every output is there once, with one result, and nothing partial beside it."""
    reported = events(run_cli("merge", out, "--json").stdout)
    names = [event["output"] for event in reported if event["event"] == "done"]
    assert len(names) == len(set(names)) == len(contents(out))
    assert not leftovers(out)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, one of them broken, and two films of two tasks each."""
    folder = tmp_path_factory.mktemp("scans") / "in"
    pictures(folder, 16)
    write_all(folder, {"bad.jpg": BROKEN["text.jpg"]})
    shots = [*gray(9.7, "64x48"), *gray(9.7, "64x48", source="testsrc")]
    cut = ["-filter_complex", "[0:v][1:v]concat=n=2[v]", "-map", "[v]", "-pix_fmt", "yuv420p"]
    for name, encoder in (("lossless.mkv", "ffv1"), ("film.mkv", "libx264")):
        make(folder / name, *shots, *cut, "-c:v", encoder)
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, scans: Path, toy_model: Path) -> dict[str, object]:
    """What this machine alone makes of them."""
    out = tmp_path_factory.mktemp("alone") / "out"
    assert run_cli("run", scans, "-o", out, "--model", toy_model).returncode == 1
    return outputs(out)


def busy_actors(run: subprocess.Popen[bytes]) -> list[int]:
    while not (busy := actors()):
        assert run.poll() is None, "it ended before an actor was busy"
        time.sleep(0.01)
    return busy


def wait_for_a_segment(run: subprocess.Popen[bytes], out: Path) -> None:
    """Until a part of a film is done."""
    while not list(out.glob(".*.mkv.colorcli/0*.json")):
        assert run.poll() is None, "it ended before a part of a film was done"
        time.sleep(0.01)


def test_a_node_taken_away_and_an_actor_killed_change_nothing(
    cluster: Any, tmp_path: Path, toy_model: Path, scans: Path, expected: dict[str, object]
) -> None:
    out = tmp_path / "out"
    node = add_node(cluster)
    run = on(cluster, scans, "-o", out, "--model", toy_model)
    os.kill(busy_actors(run)[0], signal.SIGKILL)  # films come first
    wait_for_a_segment(run, out)
    cluster.remove_node(node, allow_graceful=False)
    add_node(cluster)
    output = finished(run)
    assert run.returncode == 1, output
    failed = [event["input"] for event in events(output) if event["event"] == "failed"]
    assert failed == [str(scans / "bad.jpg")]
    assert outputs(out) == expected
    merged_once(out)


def test_a_driver_killed_and_started_again_changes_nothing(
    cluster: Any, tmp_path: Path, toy_model: Path, scans: Path, expected: dict[str, object]
) -> None:
    out = tmp_path / "out"
    run = on(cluster, scans, "-o", out, "--model", toy_model)
    wait_for_a_segment(run, out)
    run.kill()
    finished(run)
    while actors():  # Ray ends them with their driver
        time.sleep(0.1)
    for log in (out / ".colorcli" / "log").iterdir():
        os.utime(log, (0, log.stat().st_mtime - 2 * LOST_AFTER))
    run = on(cluster, scans, "-o", out, "--model", toy_model, "--resume")
    output = finished(run)
    assert run.returncode == 1, output
    facts = [event["facts"] for event in events(output) if event["event"] == "done"]
    assert any("resumed" in each for each in facts)
    assert outputs(out) == expected
    merged_once(out)


def test_a_signal_lets_pictures_under_way_finish(
    cluster: Any, tmp_path: Path, toy_model: Path, scans: Path
) -> None:
    out = tmp_path / "out"
    run = on(cluster, scans, "-o", out, "--model", toy_model)
    wait_for(run, "done")
    run.send_signal(signal.SIGTERM)
    output = finished(run)
    assert run.returncode == 143 == events(output)[-1]["exit_code"]
    assert (
        0 < len([name for name in contents(out) if not name.startswith(".")]) < len(list(scans.iterdir())) - 1
    )
    unfinished = {f".{film}.mkv.colorcli" for film in ("film", "lossless")}  # for --resume
    assert not [path for path in leftovers(out) if not unfinished & set(path.relative_to(out).parts)]


def test_none_begins_after_a_failed_one(cluster: Any, tmp_path: Path, toy_model: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    pictures(folder, 60)
    (folder / "bad.jpg").write_bytes(b"no picture" * 10_000)  # the largest file is the first
    run = on(cluster, folder, "-o", out, "--model", toy_model, "--fail-fast")
    output = finished(run)
    assert run.returncode == 1, output
    assert [event["input"] for event in events(output) if event["event"] == "failed"] == [
        str(folder / "bad.jpg")
    ]
    assert len(contents(out)) < 30
    merged_once(out)


def test_there_has_to_be_a_cluster(tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 1)
    common = ("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model, "--cluster")
    done = run_cli(*common, "ray://localhost:1")
    assert done.returncode == 3
    assert done.stderr.count(b"\n") == 1
    assert b"--cluster" in done.stderr
