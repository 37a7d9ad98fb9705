"""The colorizers of Zhang et al.: L* in, a* and b* out."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.engines import Engine
from colorcli.models.adopted import AdoptedModel, check_ab
from colorcli.models.lab import ab_of_chroma, chroma_of_ab, lightness


class Eccv16(AdoptedModel):
    """Colorful Image Colorization (Zhang et al., ECCV 2016), from PyTorch.

    Input [1, 1, 256, 256], L* in [0, 100]; output [1, 2, 256, 256], a* and b*. `colorizers/base_color.py` of
    richzhang/colorization centers and scales inside of the network. `colorizer.onnx` of ailia-models,
    which OpenCV's `samples/dnn/colorization.py` uses, is this network; that sample passes gray x 100/255
    for L* and puts it back as L*, which moves luma by 5 levels of 255 on average. Here L* is computed from
    luma, and luma is kept.
    """

    kind = "eccv16"
    multiple_of = 8
    input_channels: ClassVar[tuple[int, ...]] = (1,)
    output_channels = 2
    center: ClassVar[float] = 0.0
    """Subtracted from L*."""

    def _tensors(self, luma: Plane, hints: Hints | None) -> dict[str, Plane]:
        return {self._engine.inputs[0].name: lightness(luma)[None] - self.center}

    def _chroma(self, output: Plane, luma: Plane) -> Plane:
        return chroma_of_ab(luma, check_ab(output))


class Eccv16Caffe(Eccv16):
    """Colorful Image Colorization from Caffe: `colorization_deploy_v2`, or Open Model Zoo's colorization-v2.

    Input [1, 1, 224, 224], L* minus 50; output [1, 2, 56, 56], a* and b* at a quarter of the size.
    """

    kind = "eccv16-caffe"
    center = 50.0
    output_scale = 4


class Siggraph17(Eccv16):
    """Real-Time User-Guided Image Colorization (Zhang et al., SIGGRAPH 2017), exported without hints.

    Same input and output as `Eccv16`: `colorizers/siggraph17.py` of richzhang/colorization fills in empty
    hints when `input_B` and `mask_B` are missing.
    """

    kind = "siggraph17"


class Siggraph17Hints(Siggraph17):
    """`Siggraph17` exported with hints: L* [1, 1, S, S], a* and b* [1, 2, S, S], mask [1, 1, S, S] of 0 or 1.

    Models of richzhang/colorization-pytorch have the same inputs in another range (L* and a*, b* scaled, the
    mask centered) and are not supported.
    """

    input_channels = (1, 2, 1)
    takes_hints = True

    def __init__(self, engine: Engine, path: Path) -> None:
        super().__init__(engine, path)
        single = [spec.name for spec in engine.inputs if 2 not in (spec.shape[1], spec.shape[3])]
        self._luma_name, self._mask_name = sorted(single, key=lambda name: "mask" in name.lower())
        self._ab_name = next(spec.name for spec in engine.inputs if spec.name not in single)

    def _tensors(self, luma: Plane, hints: Hints | None) -> dict[str, Plane]:
        known = hints or Hints(np.zeros((2, *luma.shape), np.float32), np.zeros_like(luma))
        mask = (known.mask > 0).astype(np.float32)
        return {
            self._luma_name: lightness(luma)[None],
            self._ab_name: ab_of_chroma(luma, known.chroma) * mask,
            self._mask_name: mask[None],
        }
