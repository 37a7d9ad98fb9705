"""A cluster gives what one machine gives, and loses nothing when nodes, actors or the driver die."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from support.broken import BROKEN, write_all
from support.cli import events, leftovers, run_cli, started
from support.scans import contents, pictures
from support.videos import gray, make

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
    line = b" "
    while line and f'"{event}"'.encode() not in line:
        line = run.stdout.readline()
    assert line, "the run ended early"


def actors() -> list[int]:
    """The processes of actors that are doing something."""
    names = {
        path.parent.name: path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    }
    return [int(pid) for pid, name in names.items() if name.startswith(b"ray::ClusterWorker.run")]


def packets(film: Path) -> list[bytes]:
    with av.open(str(film)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def merged_once(out: Path, count: int) -> None:
    """Every output is there once, with one result, and nothing partial beside it."""
    reported = events(run_cli("merge", out, "--json").stdout)
    names = [event["output"] for event in reported if event["event"] == "done"]
    assert len(names) == len(set(names)) == count == len(contents(out))
    assert not leftovers(out)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans") / "in"
    pictures(folder, 40)
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, scans: Path, toy_model: Path) -> dict[str, bytes]:
    """What this machine alone makes of the scans."""
    out = tmp_path_factory.mktemp("alone") / "out"
    assert run_cli("run", scans, "-o", out, "--model", toy_model).returncode == 0
    return contents(out)


def test_pictures_and_film_equal_those_of_one_machine(cluster: Any, tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 6)
    bad = write_all(tmp_path / "in", {"bad.jpg": BROKEN["text.jpg"]})
    cut = ["-filter_complex", "[0:v][1:v]concat=n=2[v]", "-map", "[v]"]  # two tasks
    for name, encoder in (("lossless.mkv", "ffv1"), ("film.mkv", "libx264")):
        shots = [*gray(11, "96x64"), *gray(11, "96x64", source="testsrc")]
        make(tmp_path / "in" / name, *shots, *cut, "-pix_fmt", "yuv420p", "-c:v", encoder)
    common = ("run", tmp_path / "in", "--model", toy_model, "--json")
    local = run_cli(*common, "-o", tmp_path / "local")
    remote = run_cli(*common, "-o", tmp_path / "remote", "--cluster", cluster.address)
    assert (local.returncode, remote.returncode) == (1, 1)
    counts = [{**events(run.stdout)[-1], "seconds": 0} for run in (local, remote)]
    assert counts[0] == counts[1]
    failed = [event["input"] for event in events(remote.stdout) if event["event"] == "failed"]
    assert failed == [str(path) for path in bad]
    one, other = contents(tmp_path / "local"), contents(tmp_path / "remote")
    assert one.keys() == other.keys()
    for name in one:
        if name.endswith(".mkv"):  # Matroska carries a random identifier
            assert packets(tmp_path / "local" / name) == packets(tmp_path / "remote" / name)
        else:
            assert one[name] == other[name]


def test_a_node_that_is_taken_away_and_an_actor_that_is_killed(
    cluster: Any, tmp_path: Path, toy_model: Path, scans: Path, expected: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    node = add_node(cluster)
    run = on(cluster, scans, "-o", out, "--model", toy_model)
    wait_for(run, "done")
    while not (busy := actors()):
        assert run.poll() is None, "it ended before an actor could be killed"
        time.sleep(0.01)
    os.kill(busy[0], signal.SIGKILL)
    wait_for(run, "done")
    cluster.remove_node(node, allow_graceful=False)
    add_node(cluster)
    output = finished(run)
    assert run.returncode == 0, output
    assert contents(out) == expected
    merged_once(out, 40)


def test_a_driver_that_is_killed_and_started_again(
    cluster: Any, tmp_path: Path, toy_model: Path, scans: Path, expected: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    run = on(cluster, scans, "-o", out, "--model", toy_model)
    wait_for(run, "done")
    run.kill()
    finished(run)
    while actors():  # Ray ends them with their driver
        time.sleep(0.1)
    for log in (out / ".colorcli" / "log").iterdir():
        os.utime(log, (0, log.stat().st_mtime - 2 * LOST_AFTER))
    run = on(cluster, scans, "-o", out, "--model", toy_model)
    output = finished(run)
    assert run.returncode == 0, output
    assert contents(out) == expected
    merged_once(out, 40)


def test_a_signal_lets_pictures_under_way_finish(
    cluster: Any, tmp_path: Path, toy_model: Path, scans: Path
) -> None:
    out = tmp_path / "out"
    run = on(cluster, scans, "-o", out, "--model", toy_model)
    wait_for(run, "done")
    run.send_signal(signal.SIGTERM)
    output = finished(run)
    assert run.returncode == 143 == events(output)[-1]["exit_code"]
    assert 0 < len(contents(out)) < 40
    assert not leftovers(out)


def test_there_has_to_be_a_cluster(tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 1)
    common = ("run", tmp_path / "in", "-o", tmp_path / "out", "--model", toy_model, "--cluster")
    done = run_cli(*common, "ray://localhost:1")
    assert done.returncode == 3
    assert done.stderr.count(b"\n") == 1
    assert b"--cluster" in done.stderr
