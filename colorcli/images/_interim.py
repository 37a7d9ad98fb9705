"""Stands in for the colorizer's new interface until it is there."""

from dataclasses import dataclass

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.colorizer.color_sources import guidance
from colorcli.colorizer.predictor import Colorizer
from colorcli.models.card import ModelCard
from colorcli.options import ColorOptions


class ChromaPredictor(Colorizer):
    @property
    def card(self) -> ModelCard:
        return self.engine.card


@dataclass(frozen=True)
class ColorSources:
    color: ColorOptions

    @classmethod
    def load(cls, color: ColorOptions) -> "ColorSources":
        return cls(color)

    def hints_for(self, shape: tuple[int, int], luma: Plane, predictor: ChromaPredictor) -> Hints | None:
        return guidance(self.color, shape, luma, predictor)
