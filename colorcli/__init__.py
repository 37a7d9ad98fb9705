"""Give black-and-white photographs and film their colour back."""

__version__ = "0.1.0"
