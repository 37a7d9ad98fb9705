"""Write damaged copies of the files in some folders, to be run through the net.

    python -m tests.net.mutants COUNT SEED OUT FOLDER...

Bytes are flipped, cut off, doubled or zeroed, anywhere or in the last fifth only.
"""

import random
import sys
from collections.abc import Callable
from pathlib import Path

_LARGEST = 300_000
"""Bytes of the largest file that is taken."""


def main() -> None:
    count, seed, out = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    found = (path for folder in sys.argv[4:] for path in sorted(Path(folder).rglob("*")))
    sources = [
        path for path in found if path.is_file() and path.suffix != ".txt" and path.stat().st_size <= _LARGEST
    ]
    choice = random.Random(seed)
    out.mkdir(parents=True)
    for number in range(count):
        source, (name, mutate) = choice.choice(sources), choice.choice(list(_MUTATIONS.items()))
        content = bytearray(source.read_bytes())
        mutate(content, choice)
        (out / f"{number:04}_{name}_{source.stem}{source.suffix.lower()}").write_bytes(content)


def _flip(content: bytearray, choice: random.Random, start: int = 0) -> None:
    for _ in range(choice.randint(1, 30)):
        content[choice.randrange(start, len(content))] ^= 1 << choice.randrange(8)


def _flip_tail(content: bytearray, choice: random.Random) -> None:
    _flip(content, choice, len(content) * 4 // 5)


def _cut(content: bytearray, choice: random.Random) -> None:
    del content[choice.randrange(len(content) // 4, len(content)) :]


def _double(content: bytearray, choice: random.Random) -> None:
    start = choice.randrange(len(content))
    content[start:start] = content[start : start + choice.randint(1, 20_000)]


def _zero(content: bytearray, choice: random.Random) -> None:
    start = choice.randrange(len(content))
    end = min(len(content), start + choice.randint(1, 3000))
    content[start:end] = bytes(end - start)


_MUTATIONS: dict[str, Callable[[bytearray, random.Random], None]] = {
    "flip": _flip, "tail": _flip_tail, "cut": _cut, "double": _double, "zero": _zero,
}  # fmt: skip

if __name__ == "__main__":
    main()
