"""A toy colorizer, and black-and-white pictures made on the spot."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.scenes import Colorize

from colorcli.colorizer.color_sources import ColorSources
from colorcli.colorizer.predictor import ChromaPredictor
from colorcli.images.colorize import colorize_image
from colorcli.models import ModelAdapter, open_model
from colorcli.options import ColorOptions, Outcome, RunOptions


@pytest.fixture(scope="session")
def model(toy_model: Path) -> Iterator[ModelAdapter]:
    with open_model(toy_model, "cpu", threads=1) as model:
        yield model


@pytest.fixture
def colorize(model: ModelAdapter) -> Colorize:
    """Colorize one image: `colorize(source, output, saturation=..., fields of ColorOptions ...)`."""

    def run(
        source: Path,
        output: Path,
        *,
        options: RunOptions | None = None,
        saturation: float = 1.0,
        on_note: Callable[[str], None] = lambda message: None,
        **color: object,
    ) -> Outcome:
        settings = options or RunOptions()
        settings = replace(settings, color=ColorOptions(**color))  # type: ignore[arg-type]
        predictor = ChromaPredictor(model, saturation=saturation)
        hints = ColorSources.load(settings.color)
        return colorize_image(source, output, settings, predictor, hints, on_note=on_note)

    return run


@pytest.fixture
def colorized(tmp_path: Path, colorize: Colorize) -> Callable[..., tuple[Path, list[str]]]:
    """Colorize bytes under a name: the output, and the notes."""

    def run(data: bytes, name: str, output: str = "", **options: Any) -> tuple[Path, list[str]]:
        source = tmp_path / name
        source.write_bytes(data)
        target = tmp_path / "out" / (output or name)
        notes: list[str] = []
        colorize(source, target, on_note=notes.append, **options)
        return target, notes

    return run
