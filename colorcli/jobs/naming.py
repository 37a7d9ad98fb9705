"""What outputs are called, which inputs are wanted, and which files belong to another one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from colorcli.errors import UsageError
from colorcli.images.codecs.registry import SUFFIXES, colorized_name
from colorcli.video.formats import UNWRITTEN_SUFFIXES, VIDEO_SUFFIXES

FIELD = re.compile(r"\{(parent|stem|ext|name)\}")
"""The folder below the input folder, empty for what lies directly in it; the name without its suffix; the
suffix with its dot; the name."""
_SIDECAR = re.compile(
    r"(?P<stem>.+)\.(?:hints\.(?:json|csv|png)|reference\.(?:jpe?g|png|tiff?|webp))", re.IGNORECASE
)


def is_template(text: object) -> bool:
    """Whether a path stands for one file for each input."""
    return FIELD.search(str(text)) is not None


def fill(template: str, source: PurePath, suffix: str) -> Path:
    """The path that a template stands for; `suffix` is that of the output.

    Args:
        source: relative to the input folder.
    """
    parent = source.parent.as_posix()
    if parent == ".":  # nothing, not even a dot: a name that began with it would be hidden
        template, parent = template.replace("{parent}/", ""), ""
    values = {"parent": parent, "stem": source.stem, "ext": suffix}
    values["name"] = values["stem"] + suffix
    return Path(FIELD.sub(lambda found: values[found[1]], template))


def split_template(output: Path) -> tuple[Path, str]:
    """The folder before the first field of a template, and the rest; the rest is empty without fields."""
    parts = output.parts
    first = next((n for n, part in enumerate(parts) if is_template(part)), None)
    if first is None:
        return output, ""
    return Path(*parts[:first]), str(Path(*parts[first:]))


def check_template(output: Path) -> None:
    """Check that each brace in a path that does not exist belongs to a field.

    Raises:
        UsageError: one does not.
    """
    for place in (output, *output.parents):
        if set("{}") & set(FIELD.sub("", place.name)) and not place.exists():
            cause = f"{place.name} is not a template"
            raise UsageError(output, cause, "its fields are {parent}, {stem}, {ext} and {name} ({stem}{ext})")


@dataclass(frozen=True)
class Naming:
    """The path of an output below OUT, by the path of its source below the input folder."""

    template: str = ""
    suffix: str = ""
    """The suffix for all outputs of its kind, in lower case with the dot; empty keeps the inputs' own."""

    def __call__(self, source: Path) -> Path:
        name = colorized_name(source)
        if name.suffix.lower() in UNWRITTEN_SUFFIXES:
            name = name.with_suffix(".mkv")
        if self.suffix and (source.suffix.lower() in VIDEO_SUFFIXES) == (self.suffix in VIDEO_SUFFIXES):
            name = name.with_suffix(self.suffix)
        return fill(self.template, source, name.suffix) if self.template else name


OWN_NAMES = Naming()


def format_suffix(asked: str | None) -> str:
    """The suffix that --format means for files.

    Raises:
        UsageError: nothing is written with this suffix.
    """
    if not asked:
        return ""
    suffix = "." + asked.lower().lstrip(".")
    if suffix not in SUFFIXES and suffix not in VIDEO_SUFFIXES:
        raise UsageError(f"--format {asked}", "is no format of images or film", "as png, jpg, tif or mkv")
    return suffix


@dataclass(frozen=True)
class Selection:
    """--include and --exclude: shell patterns for paths below the input, without regard to case."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def has(self, relative: PurePath) -> bool:
        """Whether a file is wanted: by name, path or, for what is left out, any folder on the way."""
        path = relative.as_posix().lower()
        parts = path.split("/")
        if any(fnmatchcase(each, p.lower()) for p in self.exclude for each in (path, *parts)):
            return False
        return not self.include or any(
            fnmatchcase(each, p.lower()) for p in self.include for each in (path, parts[-1])
        )


EVERYTHING = Selection()


def sidecars(names: Sequence[str]) -> dict[str, list[str]]:
    """Image -> its hints (`scan.hints.json`) and reference (`scan.reference.jpg`), in one folder."""
    found: dict[str, list[str]] = {}
    for name in names:
        if match := _SIDECAR.fullmatch(name):
            found.setdefault(match["stem"], []).append(name)
    if not found:
        return {}
    owned = {name for several in found.values() for name in several}
    images = [name for name in names if PurePath(name).suffix.lower() in SUFFIXES and name not in owned]
    return {name: found[stem] for name in images if (stem := PurePath(name).stem) in found}
