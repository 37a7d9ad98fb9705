"""Give black-and-white photographs and film their color back."""

__version__ = "0.1.0"
