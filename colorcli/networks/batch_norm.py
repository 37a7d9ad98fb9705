"""Batch norms folded into the convolutions before them, as exports and the encoder hold them."""

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norm(generator: nn.Module) -> None:
    """Fold every batch norm that follows a convolution into the convolution's weights, in place.

    In eval mode the result is the same up to rounding.
    """
    for parent in list(generator.modules()):
        for (before, convolution), (name, norm) in pairwise(list(parent.named_children())):
            if isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                transpose = isinstance(convolution, nn.ConvTranspose2d)
                setattr(parent, before, fuse_conv_bn_eval(convolution, norm, transpose))
                setattr(parent, name, nn.Identity())
