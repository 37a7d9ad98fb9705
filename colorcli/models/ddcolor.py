"""DDColor: gray R'G'B' in, a* and b* out."""

import numpy as np

from colorcli.color.condition import Hints
from colorcli.color.ycbcr import Plane
from colorcli.models.adopted import AdoptedModel, check_ab
from colorcli.models.lab import chroma_of_ab


class DDColor(AdoptedModel):
    """DDColor (Kang et al., ICCV 2023), all sizes and weights: modelscope, paper, artistic, tiny.

    Input [1, 3, S, S], R'G'B' in [0, 1] of the picture's L* with a* = b* = 0, which for a gray picture is
    the picture itself; output [1, 2, S, S], a* and b*. `scripts/export_onnx.py` of piddnad/DDColor writes
    fixed squares of 512; its `ddcolor/pipeline.py` stretches pictures to them, as do facefusion
    (`frame_colorizer`, 256 by default) and HolyWu/vs-ddcolor. These three keep L*; DDColor's own pipeline
    enlarges a* and b* by nearest neighbor, which bleeds. No normalization: `do_normalize=False`.
    """

    kind = "ddcolor"
    size = 512
    input_channels = (3,)
    output_channels = 2

    def _tensors(self, luma: Plane, hints: Hints | None) -> dict[str, Plane]:
        return {self._engine.inputs[0].name: np.stack([luma] * 3)}

    def _chroma(self, output: Plane, luma: Plane) -> Plane:
        return chroma_of_ab(luma, check_ab(output))
