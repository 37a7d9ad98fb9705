"""HEIC, for which Pillow needs an optional library: importing this module raises SetupError without it."""

from colorcli.errors import SetupError
from colorcli.images.codecs.pillow import PillowCodec

try:
    import pillow_heif
except ImportError as error:
    raise SetupError("HEIC", "pillow-heif is not installed", "pip install 'colorcli[heic]'") from error

pillow_heif.register_heif_opener()
HEIC = PillowCodec("HEIC", pillow_name="HEIF", quality=-1, chroma=444, matrix_coefficients=0)
