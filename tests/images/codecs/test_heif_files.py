"""Strange AVIF and HEIC files: read right, or refused in true words."""

import io
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from support.images import gray, load
from support.scenes import scene

from colorcli.errors import InputError


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_avif_is_refused(bits: int, colorized: Any) -> None:
    pixels = scene(40, 50, 65535) >> (16 - bits)
    data = imagecodecs.avif_encode(np.stack([pixels] * 3, axis=2), bitspersample=bits)
    with pytest.raises(InputError, match="more than 8 bits"):
        colorized(bytes(data), "in.avif")


def test_of_several_stills_in_heic_the_primary_one_is_colorized(colorized: Any) -> None:
    heif = pytest.importorskip("pillow_heif")
    file = heif.HeifFile()
    for shade in (scene(64, 80), scene(64, 80)[::-1].copy()):
        file.add_from_pillow(Image.fromarray(np.stack([shade] * 3, axis=2)))
    target = io.BytesIO()
    file.save(target, quality=-1, chroma=444, matrix_coefficients=0, primary_index=1)
    output, notes = colorized(target.getvalue(), "in.heic")
    assert np.abs(gray(load(output)) - scene(64, 80)[::-1].astype(int)).max() <= 1
    assert any("holds 2 images" in note for note in notes)
