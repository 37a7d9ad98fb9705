"""Shards are disjoint, whole and stable, and known from the variables of queues."""

from pathlib import Path

import pytest

from colorcli.errors import UsageError
from colorcli.jobs.plan import make_plan
from colorcli.jobs.shard import Shard
from colorcli.options import RunOptions


def tree(folder: Path, count: int) -> Path:
    for number in range(count):
        path = folder / f"box{number % 7}" / f"scan {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def shard_of(folder: Path, shard: Shard) -> set[Path]:
    plan = make_plan([folder], folder.parent / "out", RunOptions(), lambda event: None, shard=shard)
    return {job.source for job in plan}


def test_64_shards_are_disjoint_and_whole(tmp_path: Path) -> None:
    folder = tree(tmp_path / "in", 700)
    shards = [shard_of(folder, Shard(index, 64)) for index in range(64)]
    assert sum(map(len, shards)) == 700
    assert set().union(*shards) == set(folder.rglob("*.png"))
    assert all(len(shard) < 700 / 16 for shard in shards), "one shard has far more than its part"


def test_a_shard_depends_on_the_relative_path_alone(tmp_path: Path) -> None:
    here, there = tree(tmp_path / "a" / "in", 40), tree(tmp_path / "elsewhere" / "scans", 40)
    before = {path.relative_to(here) for path in shard_of(here, Shard(2, 5))}
    assert {path.relative_to(there) for path in shard_of(there, Shard(2, 5))} == before
    (here / "box0" / "another.png").touch()
    after = {path.relative_to(here) for path in shard_of(here, Shard(2, 5))}
    assert after - {Path("box0/another.png")} == before


def test_named_files_are_divided_too(tmp_path: Path) -> None:
    files = sorted(tree(tmp_path / "in", 30).rglob("*.png"))
    report = lambda event: None  # noqa: E731
    parts = [
        {job.source for job in make_plan(files, tmp_path / "out", RunOptions(), report, shard=Shard(k, 3))}
        for k in range(3)
    ]
    assert sorted(set().union(*parts)) == files
    assert sum(map(len, parts)) == 30


def slurm(index: int, count: int, first: int) -> dict[str, str]:
    values = {"ID": index, "COUNT": count, "MIN": first}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("1/64", {}, "1/64"),
        ("64/64", {}, "64/64"),
        ("auto", slurm(7, 64, 1), "7/64"),
        ("auto", slurm(0, 8, 0), "1/8"),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "10"}, "1/10"),
        ("auto/20", {"JOB_COMPLETION_INDEX": "19"}, "20/20"),
    ],
)
def test_spellings(text: str, environment: dict[str, str], expected: str) -> None:
    assert str(Shard.parse(text, environment)) == expected


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "x/2", "1/0", "auto", "-1/3"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        Shard.parse(text, {})


def test_kubernetes_does_not_say_how_many() -> None:
    with pytest.raises(UsageError, match="auto/N"):
        Shard.parse("auto", {"JOB_COMPLETION_INDEX": "3"})
