"""Options whose value differs from input to input: name templates, and files beside an image."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from colorcli.jobs.job import Job
from colorcli.jobs.naming import fill, is_template
from colorcli.options import RunOptions

_COLOR, _VIDEO = ("hints", "reference"), ("references", "shots", "contact_sheet")


def is_for_each(options: RunOptions) -> bool:
    """Whether the value of an option is a template."""
    values = [getattr(options.color, name) for name in _COLOR]
    values += [getattr(options.video, name) for name in _VIDEO]
    return any(is_template(value) for value in values)


def options_for(job: Job, options: RunOptions) -> RunOptions:
    """The options of one job; the same object if nothing about it is special."""
    color: dict[str, Any] = _filled(options.color, _COLOR, job)
    video: dict[str, Any] = _filled(options.video, _VIDEO, job)
    for sidecar in job.sidecars:
        name = "reference" if ".reference." in sidecar.name.lower() else "hints"
        if getattr(options.color, name) is None:
            color[name] = sidecar
    if not color and not video:
        return options
    return replace(options, color=replace(options.color, **color), video=replace(options.video, **video))


def _filled(options: Any, names: tuple[str, ...], job: Job) -> dict[str, Path]:
    source = Path(job.key or job.source.name)
    values = {name: getattr(options, name) for name in names}
    return {
        name: fill(str(value), source, source.suffix) for name, value in values.items() if is_template(value)
    }
