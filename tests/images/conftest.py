"""A toy colorizer, and black-and-white pictures made on the spot."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.scenes import Colorize

import colorcli.engines
from colorcli.colorizer.predictor import Colorizer
from colorcli.images import colorize_still
from colorcli.options import ColorOptions, Outcome, RunOptions


@pytest.fixture(scope="session")
def colorizer(toy_model: Path) -> Iterator[Colorizer]:
    with colorcli.engines.open(toy_model, "cpu", threads=1) as engine:
        yield Colorizer(engine)


@pytest.fixture
def colorize(colorizer: Colorizer) -> Colorize:
    """Run one still through the pipeline: `colorize(source, output, saturation=..., look options ...)`."""

    def run(
        source: Path,
        output: Path,
        *,
        options: RunOptions | None = None,
        saturation: float = 1.0,
        **look: object,
    ) -> Outcome:
        settings = options or RunOptions()
        settings = replace(settings, color=ColorOptions(**look))  # type: ignore[arg-type]
        return colorize_still(source, output, settings, Colorizer(colorizer.engine, saturation=saturation))

    return run
