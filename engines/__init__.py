"""What runs a generator: one backend, one file, one contract; and what builds engine files (export)."""

from colorcli.engines.base import Engine
from colorcli.engines.registry import open_engine as open

__all__ = ["Engine", "open"]
