"""Shards: which part of the inputs each of several runs does, without communication between them."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from colorcli.errors import UsageError

_ARRAYS = (
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", ""),
    ("JOB_COMPLETION_INDEX", "", ""),
)
"""Variables of queues (Slurm, AWS Batch, Kubernetes): a task's number, how many there are, the first number
if it is not 0. An indexed Kubernetes job does not say how many."""


@dataclass(frozen=True)
class Shard:
    """One of `count` disjoint parts of all inputs."""

    index: int
    """From 0."""
    count: int

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] = os.environ) -> "Shard":
        """Read `K/N` with K from 1, or `auto` or `auto/N`, which take K from the queue's variables.

        Raises:
            UsageError: it is none of these, or the environment names no task.
        """
        match = re.fullmatch(r"(\d+|auto)(?:/(\d+))?", text)
        if match is None or (match[1] != "auto" and match[2] is None):
            raise UsageError(f"--shard {text}", "is not a shard", "give K/N, as in 3/64, auto or auto/N")
        if match[1] == "auto":
            index, count = _from_queue(environment, match[2])
        else:
            index, count = int(match[1]) - 1, int(match[2])
        if not 0 <= index < count:
            raise UsageError(f"--shard {text}", f"shard {index + 1} of {count}", f"count from 1 to {count}")
        return cls(index, count)

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"

    def has(self, name: str) -> bool:
        """Whether an input belongs here, by its path relative to the input folder, with slashes.

        A new input does not move the others, and every machine agrees.
        """
        digest = hashlib.blake2b(os.fsencode(name), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.index


def _from_queue(environment: Mapping[str, str], asked: str | None) -> tuple[int, int]:
    """Index from 0, and count."""
    for number, size, first in _ARRAYS:
        if number in environment:
            count = asked or environment.get(size)
            if count is None:
                raise UsageError("--shard auto", f"{number} does not say of how many", "give auto/N")
            return int(environment[number]) - int(environment.get(first, "0")), int(count)
    variables = ", ".join(entry[0] for entry in _ARRAYS)
    raise UsageError("--shard auto", f"none of {variables} is set", "give K/N")
