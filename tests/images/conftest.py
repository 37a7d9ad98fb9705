"""A toy colorizer, and black-and-white pictures made on the spot."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.scenes import Colorize

import colorcli.engines
from colorcli.images._interim import ChromaPredictor, ColorSources
from colorcli.images.colorize import colorize_image
from colorcli.options import ColorOptions, Outcome, RunOptions


@pytest.fixture(scope="session")
def colorizer(toy_model: Path) -> Iterator[ChromaPredictor]:
    with colorcli.engines.open(toy_model, "cpu", threads=1) as engine:
        yield ChromaPredictor(engine)


@pytest.fixture
def colorize(colorizer: ChromaPredictor) -> Colorize:
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
        predictor = ChromaPredictor(colorizer.engine, saturation=saturation)
        return colorize_image(source, output, settings, predictor, ColorSources.load(settings.color))

    return run
