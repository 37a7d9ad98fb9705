"""The generator architectures by the name that configurations and model cards use."""

from colorcli.networks.base import Generator
from colorcli.networks.mobile_unet import MobileUNet
from colorcli.networks.pix2pix_unet import Pix2PixUNet

__all__ = ["GENERATORS", "Generator"]

GENERATORS: dict[str, type[Generator]] = {"mobile_unet": MobileUNet, "pix2pix_unet": Pix2PixUNet}
