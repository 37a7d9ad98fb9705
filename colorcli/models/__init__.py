"""Models behind one interface: luma and hints in, chroma out, whatever tensors the model file works with."""

from colorcli.models.adapter import ModelAdapter
from colorcli.models.registry import open_model

__all__ = ["ModelAdapter", "open_model"]
