"""DeOldify and other models from gray R'G'B' to colored R'G'B', whose ranges differ."""

from typing import ClassVar

import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane, ycbcr_from_rgb
from colorcli.models.adopted import AdoptedModel


class RgbModel(AdoptedModel):
    """Gray R'G'B' [1, 3, S, S] in, colored R'G'B' of the same size out, both in [0, 1] (`rgb`).

    This is what chaiNNer and spandrel pass to and take from a colorizer. Only the color of the output
    is used; its luma is dropped.
    """

    kind = "rgb"
    input_channels = (3,)
    output_channels = 3
    mean: ClassVar[tuple[float, ...]] = (0.0, 0.0, 0.0)
    scale: ClassVar[tuple[float, ...]] = (1.0, 1.0, 1.0)
    """The tensors hold (R'G'B' - mean) / scale, on both sides."""

    def _tensors(self, luma: Plane, hints: Hints | None) -> dict[str, Plane]:
        values = (np.stack([luma] * 3) - _column(self.mean)) / _column(self.scale)
        return {self._engine.inputs[0].name: values}

    def _chroma(self, output: Plane, luma: Plane) -> Plane:
        rgb = output * _column(self.scale) + _column(self.mean)
        if not (rgb.min() >= -0.5 and rgb.max() <= 1.5):
            raise ValueError(f"it gives values from {output.min():.3g} to {output.max():.3g}")
        if luma.max() > 0.2 and rgb.max() < 0.05:
            raise ValueError(f"it gives values up to {output.max():.3g}, black, for a bright picture")
        return ycbcr_from_rgb(np.clip(rgb, 0, 1))[1]


class DeOldify(RgbModel):
    """DeOldify (Antic) as its published ONNX files have it, artistic, stable and video: 0 to 255, RGB.

    `convert_to_onnx.py` of instant-high/deoldify-onnx puts normalization by ImageNet's mean and deviation
    into the file, and its inverse; facefusion (`frame_colorizer`) and roop-unleashed (`Frame_Colorizer`) use
    such files alike. All three stretch the frame to a square, and all three put its *blue channel* where L*
    belongs, which moves luma by 5 levels of 255 on average; here luma is kept.
    """

    kind = "deoldify"
    scale = (1 / 255, 1 / 255, 1 / 255)


class DeOldifyNormalized(RgbModel):
    """DeOldify's bare generator, whose input and output are normalized by ImageNet's mean and deviation.

    See `normalize_funcs(*imagenet_stats)` in jantic/DeOldify's `deoldify/filters.py`.
    """

    kind = "deoldify-normalized"
    mean = (0.485, 0.456, 0.406)
    scale = (0.229, 0.224, 0.225)


def _column(values: tuple[float, ...]) -> Plane:
    return np.array(values, np.float32)[:, None, None]
