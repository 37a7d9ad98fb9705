"""HEIC, for which Pillow needs an optional library: importing this module raises SetupError without it."""

from colorcli.errors import needs_extra
from colorcli.images.codecs.pillow import PillowCodec

with needs_extra("HEIC", "heic"):
    import pillow_heif

pillow_heif.register_heif_opener()
HEIC = PillowCodec("HEIC", pillow_name="HEIF", quality=-1, chroma=444, matrix_coefficients=0)
