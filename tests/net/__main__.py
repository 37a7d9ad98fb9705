"""Run a folder of strange files through the real command and check every output with independent readers.

    python -m tests.net FOLDER [OUT] [-- OPTIONS OF colorcli run]

From the root of the repository. Images are read by Pillow, tifffile, imagecodecs, LibRaw, PDFium, exiftool
and exiv2, film by ffprobe and ffmpeg; what is not installed is not asked. One line is printed for each input
that is not simply right, as soon as it is known, then a table of verdicts. Exit code 1 if any output is wrong
although its run succeeded, or a message is not fit for a user.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from films import check_film
from images import check_image
from verdict import Verdict

PYTHON_WORDS = re.compile(
    r"Traceback|Error\b.*:|Errno|<.* object at 0x|index out of|unpack requires|boolean index|NoneType|"
    r"division|failed unexpectedly|unexpected error|KeyError|list index|not iterable|has no attribute"
)
"""What belongs into a developer's terminal, not into a message."""


def main() -> int:
    arguments = sys.argv[1:]
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    options = arguments[len(ours) + 1 :]
    folder = Path(ours[0])
    out = Path(ours[1]) if len(ours) > 1 else Path(tempfile.mkdtemp(prefix="net-"))
    verdicts: Counter[str] = Counter()
    for verdict in _verdicts(folder, out, options):
        verdicts[verdict.kind] += 1
        if verdict.kind != "right":
            print(f"{verdict.kind:8} {verdict.name}: {verdict.detail}", flush=True)  # noqa: T201 - a program
    print(dict(verdicts))  # noqa: T201
    return int(any(verdicts[kind] for kind in ("wrong", "crash", "words")))


def _verdicts(folder: Path, out: Path, options: list[str]) -> Iterator[Verdict]:
    """Run the folder, and judge each input while the run goes on."""
    command = [sys.executable, "-m", "colorcli", "run", str(folder), "-o", str(out), "--json", *options]
    notes: defaultdict[str, list[str]] = defaultdict(list)
    complete = False
    with tempfile.TemporaryFile() as words, subprocess.Popen(command, stdout=PIPE, stderr=words) as run:
        for line in run.stdout or ():
            event = json.loads(line)
            complete |= event["event"] == "summary"
            if event["event"] == "note":
                notes[event["input"]].append(event["message"])
            elif event["event"] == "failed":
                text = f"{event['cause']}; {event['remedy']}"
                kind = "words" if PYTHON_WORDS.search(text) else "refused"
                yield Verdict(kind, event["input"], text)
            elif event["event"] == "done" and event["action"] != "skipped":
                yield _checked(event, "; ".join(notes[event["input"]]))
        run.wait()
        words.seek(0)
        said = words.read().decode("utf-8", "backslashreplace").strip()
    if "Traceback" in said or not complete:
        yield Verdict("crash", str(folder), said[-500:] or "no summary")


def _checked(event: dict[str, Any], note: str) -> Verdict:
    source, output = Path(event["input"]), Path(event["output"])
    check = check_film if "frames" in event["facts"] or "encoder" in event["facts"] else check_image
    try:
        faults = list(check(source, output, copied=event["action"] == "copied"))
    except Exception as error:  # a reader that gives up on the output says so
        faults = [f"a reader failed: {type(error).__name__}: {error}"]
    if faults:
        return Verdict(
            "noted" if note else "wrong", str(source), "; ".join(faults) + (f" [{note}]" if note else "")
        )
    return Verdict("right", str(source), note)


if __name__ == "__main__":
    sys.exit(main())
