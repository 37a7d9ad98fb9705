"""Several processes share a folder of work: each job is done once, and a dead process loses nothing."""

import os
import signal
import time
from pathlib import Path

import pytest
from support.broken import BROKEN, write_all
from support.cli import events, leftovers, run_cli, started
from support.scans import contents, pictures

from colorcli.files import partial_path
from colorcli.jobs.job import Job, Kind
from colorcli.jobs.leases import Claim, Leases
from colorcli.jobs.shard import Shard
from colorcli.jobs.state import LOST_AFTER, RunState


def age(*logs: Path) -> None:
    """Make logs look as if their processes had been silent for long."""
    for log in logs:
        before = log.stat().st_mtime - 2 * LOST_AFTER
        os.utime(log, (before, before))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "a.png", tmp_path / "a_out.png", Kind.IMAGE)


def leases(folder: Path) -> tuple[Leases, RunState]:
    state = RunState(folder, {}, Shard(0, 1))
    time.sleep(0.002)  # logs are named after the millisecond
    return Leases(state), state


def test_a_job_is_claimed_once_and_again_when_it_is_given_back(tmp_path: Path, job: Job) -> None:
    one, other = leases(tmp_path)[0], leases(tmp_path)[0]
    assert one.claim(job) is Claim.MINE
    assert other.claim(job) is Claim.BUSY
    one.release(job, failed=False)
    assert other.claim(job) is Claim.MINE
    other.release_all()
    assert one.claim(job) is Claim.MINE


def test_what_failed_is_tried_again_by_later_runs_only(tmp_path: Path, job: Job) -> None:
    one, other = leases(tmp_path)[0], leases(tmp_path)[0]
    assert one.claim(job) is Claim.MINE
    one.release(job, failed=True)
    assert other.claim(job) is Claim.FAILED
    time.sleep(0.02)
    assert leases(tmp_path)[0].claim(job) is Claim.MINE


def test_a_dead_owner_loses_its_lease_and_its_partial_output(tmp_path: Path, job: Job) -> None:
    (dead, state), (thief, _), (late, _) = (leases(tmp_path) for _ in range(3))
    assert dead.claim(job) is Claim.MINE
    partial = partial_path(job.output, dead.writer)
    partial.write_bytes(b"half")
    age(state.log)
    assert thief.claim(job) is Claim.MINE
    assert late.claim(job) is Claim.BUSY
    assert not partial.exists()


@pytest.mark.parametrize("written", [b"", b'{"own', b"[]", b"\xff\x00"])
def test_a_claim_that_was_not_written_whole_is_not_lost(tmp_path: Path, job: Job, written: bytes) -> None:
    one, other = leases(tmp_path)[0], leases(tmp_path)[0]
    assert one.claim(job) is Claim.MINE
    (lease,) = (path for path in (tmp_path / ".colorcli" / "leases").rglob("*") if path.is_file())
    lease.write_bytes(written)
    assert other.claim(job) is Claim.BUSY
    age(lease)
    assert other.claim(job) is Claim.MINE


def test_when_one_is_killed_the_other_does_all(tmp_path: Path, toy_model: Path) -> None:
    pictures(tmp_path / "in", 24)
    write_all(tmp_path / "in", {"bad.jpg": BROKEN["text.jpg"]})
    out = tmp_path / "out"
    common = ("run", tmp_path / "in", "--model", toy_model, "--json", "--jobs", "1")
    runs = [started(*common, "--join", "-o", out) for _ in range(2)]
    victim, survivor = runs
    assert victim.stdout is not None
    while b'"done"' not in victim.stdout.readline():
        pass
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    age(*(out / ".colorcli" / "log").glob(f"*-{victim.pid}-*"))
    output, _ = survivor.communicate(timeout=120)
    assert survivor.returncode == 1
    assert events(output)[-1]["failed"] <= 1
    assert run_cli(*common, "-o", tmp_path / "alone").returncode == 1
    assert contents(out) == contents(tmp_path / "alone")
    assert not leftovers(out)
    merged = events(run_cli("merge", out, "--json").stdout)
    names = [event["input"] for event in merged if event["event"] in ("done", "failed")]
    assert len(names) == len(set(names))
    assert len(contents(out)) == 24
    kept = [path for path in (out / ".colorcli" / "leases").rglob("*") if path.is_file()]
    assert len(kept) == 1, "only the lease of the failure remains"


def test_to_share_needs_a_folder(tmp_path: Path, toy_model: Path) -> None:
    (source,) = pictures(tmp_path, 1)
    done = run_cli("run", source, "-o", tmp_path / "out.png", "--join", "--model", toy_model)
    assert done.returncode == 2
    assert b"--join" in done.stderr
