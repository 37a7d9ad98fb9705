"""Colorize black-and-white photographs and film."""

from colorcli._version import __version__

__all__ = ["__version__"]
