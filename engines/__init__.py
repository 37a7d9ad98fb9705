"""Inference engines: one module per runtime, one interface; `builders` makes the files that they open."""

from colorcli.engines.base import Engine, TensorSpec
from colorcli.engines.registry import open_engine as open

__all__ = ["Engine", "TensorSpec", "open"]
