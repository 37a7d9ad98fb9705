"""Makes the pixels of training samples, a batch at a time, on a CPU or a GPU.

The same samples give the same batch on every device, up to rounding.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorcli.train.degrade import degrade
from colorcli.train.hints import show_hints
from colorcli.train.pack import Pack
from colorcli.train.samples import Sample, View
from colorcli.train.tensors import to_device, ycbcr_from_rgb

Batch = Mapping[str, Tensor]
"""`condition` [N, 4, S, S] (luma as shown, and hints), `luma` [N, 1, S, S] and `chroma` [N, 2, S, S]."""
LARGEST_SHARE = 0.5
"""Share of a GPU's free memory that the pictures may take; larger packs stay in the CPU's memory."""


class Renderer:
    """Renders samples of a pack; on a GPU that has the memory, the pictures lie there."""

    def __init__(self, pack: Pack, device: torch.device) -> None:
        self.device, self.shapes, self.offsets = device, pack.shapes, pack.offsets
        self.pixels = torch.from_numpy(pack.pixels)
        if device.type == "cuda" and pack.pixels.nbytes < LARGEST_SHARE * torch.cuda.mem_get_info(device)[0]:
            self.pixels = self.pixels.to(device)

    def __call__(self, samples: Sequence[Sample], size: int) -> Batch:
        """The samples' crops at `size` pixels a side: degraded luma and hints, and the clean originals."""
        rgb = self._crops([sample.view for sample in samples], size)
        self._join(rgb, samples)
        luma, chroma = ycbcr_from_rgb(rgb)
        shown = self._damage(rgb, luma, samples)
        condition = torch.cat([shown, show_hints(chroma, [sample.hints for sample in samples])], dim=1)
        planes = {"condition": condition, "luma": luma, "chroma": chroma}
        return {name: each.contiguous(memory_format=torch.channels_last) for name, each in planes.items()}

    def _crops(self, views: Sequence[View], size: int) -> Tensor:
        """R'G'B' [N, 3, S, S] in [0, 1]."""
        rgb = torch.empty(len(views), 3, size, size, device=self.device)
        for points in {view.points for view in views}:
            rows = [row for row, view in enumerate(views) if view.points == points]
            sampled = self._sample([views[row] for row in rows], points * size)
            rgb[self._index(rows)] = F.avg_pool2d(sampled, points) if points > 1 else sampled
        exposures = [(view.gamma, view.contrast, view.shift) for view in views]
        gamma, contrast, shift = to_device(exposures, self.device).T[..., None, None, None]
        return ((rgb**gamma - 0.5) * contrast + (0.5 + shift)).clamp(0, 1)

    def _sample(self, views: Sequence[View], side: int) -> Tensor:
        """R'G'B' [N, 3, side, side] at the middles of a grid over each view; the border is mirrored."""
        shapes = [self.shapes[view.picture] for view in views]
        height, width = np.max(shapes, axis=0).tolist()
        pictures = torch.zeros(len(views), height, width, 3, dtype=torch.uint8, device=self.device)
        for place, view, (rows, columns) in zip(pictures, views, shapes, strict=True):
            start = self.offsets[view.picture]
            pixels = self.pixels[start : start + 3 * rows * columns]
            place[:rows, :columns].copy_(pixels.view(rows, columns, 3), non_blocking=True)
        grid = self._grid(views, shapes, side, (height, width))
        return F.grid_sample(pictures.permute(0, 3, 1, 2).float(), grid, align_corners=False) / 255

    def _grid(
        self, views: Sequence[View], shapes: Sequence[tuple[int, int]], side: int, padded: tuple[int, int]
    ) -> Tensor:
        """Where the points lie, (x, y) in [-1, 1] over the padded pictures, [N, side, side, 2].

        Reflection at the border is done here, because grid_sample knows one size for all pictures.
        """
        matrices = to_device([view.matrix for view in views], self.device)[..., None, None]
        middles = (torch.arange(side, device=self.device) + 0.5) / side
        x, y, scale = (
            matrices[:, row, 0] * middles + (matrices[:, row, 1] * middles[:, None] + matrices[:, row, 2])
            for row in range(3)
        )
        planes, scale = [], scale.reciprocal_()
        lasts = to_device(np.array(shapes) - 1, self.device).T[..., None, None]
        for place, last, length in ((x, lasts[1], padded[1]), (y, lasts[0], padded[0])):
            pixel = place.mul_(scale).sub_(0.5)  # 0 is the middle of the first pixel
            inside = (last - (last - pixel.abs_()).abs_()).clamp_(min=0)
            planes.append(inside.mul_(2 / length).add_(1 / length - 1))
        return torch.stack(planes, dim=-1)

    def _join(self, rgb: Tensor, samples: Sequence[Sample]) -> None:
        """Replace parts of some crops [N, 3, S, S] by parts of another picture, in place."""
        seams = [(row, sample.seam) for row, sample in enumerate(samples) if sample.seam is not None]
        if not seams:
            return
        index = self._index([row for row, _ in seams])
        second = self._crops([seam.view for _, seam in seams], rgb.shape[-1])
        starts = to_device([(seam.axis, seam.start) for _, seam in seams], self.device)
        axis, start = starts.T[..., None, None, None]
        place = torch.arange(rgb.shape[-1], device=self.device)
        rgb[index] = torch.where(torch.where(axis == 1, place, place[:, None]) < start, rgb[index], second)

    def _damage(self, rgb: Tensor, luma: Tensor, samples: Sequence[Sample]) -> Tensor:
        """Luma as shown [N, 1, S, S]: some of it grayed by a film stock and degraded."""
        damages = [(row, sample.damage) for row, sample in enumerate(samples) if sample.damage is not None]
        if not damages:
            return luma
        index = self._index([row for row, _ in damages])
        weights = to_device([damage.gray for _, damage in damages], self.device)[..., None, None]
        shown = luma.clone()
        gray = (weights * rgb[index]).sum(1)
        shown[index] = degrade(gray, [damage.faults for _, damage in damages])[:, None]
        return shown

    def _index(self, rows: Sequence[int]) -> Tensor:
        return to_device(rows, self.device, torch.long)
