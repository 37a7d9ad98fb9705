"""Images written and read without colorcli's codecs."""

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

GRAY = np.array([0.299, 0.587, 0.114])


def gray(rgb: NDArray[np.generic]) -> NDArray[np.float64]:
    """Gray of RGB or gray pixels, in their own code values."""
    if rgb.ndim == 2 or rgb.shape[2] < 3:
        return np.asarray(rgb if rgb.ndim == 2 else rgb[:, :, 0], np.float64)
    return np.rint(rgb[:, :, :3] @ GRAY)


def load(path: Path) -> NDArray[np.generic]:
    """Any of the formats as stored: [H, W] or [H, W, C] in RGB order."""
    match path.suffix:
        case ".tif":
            return tifffile.imread(path)
        case ".jp2":
            return imagecodecs.jpeg2k_decode(path.read_bytes())
        case ".jxl":
            return imagecodecs.jpegxl_decode(path.read_bytes())
        case ".png":
            return imagecodecs.png_decode(path.read_bytes())
        case ".ppm" | ".pgm" | ".pnm":  # Pillow reads them as 8 bits
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            return pixels if pixels.ndim == 2 else pixels[:, :, ::-1]
    image = Image.open(path)
    return np.asarray(image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB"))


def save(path: Path, pixels: NDArray[np.generic]) -> Path:
    """Write gray or color pixels in the format of the suffix, without loss where it can."""
    match path.suffix:
        case ".tif":
            extra = {"extrasamples": ["unassalpha"]} if pixels.ndim == 3 and pixels.shape[2] in (2, 4) else {}
            colors = "rgb" if pixels.ndim == 3 and pixels.shape[2] > 2 else "minisblack"
            tifffile.imwrite(path, pixels, photometric=colors, planarconfig="contig", **extra)
        case ".jp2":
            path.write_bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", reversible=True))
        case ".jxl":
            path.write_bytes(imagecodecs.jpegxl_encode(pixels, lossless=True))
        case ".png":
            path.write_bytes(imagecodecs.png_encode(pixels))
        case ".ppm" | ".pgm" | ".pnm":
            kind, order = (".ppm", pixels[..., ::-1]) if pixels.ndim == 3 else (".pgm", pixels)
            path.write_bytes(cv2.imencode(kind, order)[1].tobytes())
        case ".heic":
            import pillow_heif

            pillow_heif.register_heif_opener()
            color = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)
            Image.fromarray(color).save(path, quality=-1, chroma=444, matrix_coefficients=0)
        case ".webp":
            Image.fromarray(pixels).save(path, lossless=True, exact=True)
        case _:
            Image.fromarray(pixels).save(path)
    return path
