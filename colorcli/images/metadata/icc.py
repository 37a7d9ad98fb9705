"""ICC profiles: what color space one describes, and the RGB profile that matches a gray one.

A gray profile is invalid on a color picture. Its tone curve is kept: an RGB profile with that curve on all
three channels displays every neutral exactly as the gray profile did, so no code value has to change.
"""

from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

HEADER_BYTES = 128
CREATED = slice(24, 36)
"""Where a profile has its date (ICC.1:2022, 7.2)."""
D65 = (0.3127, 0.3290, 1)
SRGB_PRIMARIES = (0.64, 0.33, 1, 0.30, 0.60, 1, 0.15, 0.06, 1)
"""x, y and Y of red, green and blue (IEC 61966-2-1)."""
CURVE_POINTS = 1024
LARGEST = 1 << 24
"""Bytes to which a compressed profile may expand."""


def color_space(profile: bytes) -> str:
    """`GRAY`, `RGB`, `CMYK`, ...; empty if this is not an ICC profile."""
    if len(profile) < HEADER_BYTES + 4 or profile[36:40] != b"acsp":
        return ""
    return profile[16:20].decode("ascii", "replace").strip()


def for_rgb(profile: bytes | None) -> bytes | None:
    """The profile for a colorized picture whose source had `profile`; None if there is none that matches."""
    if profile is None:
        return None
    space = color_space(profile)
    return profile if space == "RGB" else rgb_profile_like(profile) if space == "GRAY" else None


def rgb_profile_like(gray: bytes) -> bytes | None:
    """An RGB profile that displays neutrals as the GRAY profile does; None if that one is broken."""
    ramp = np.linspace(0, 65535, CURVE_POINTS).round().astype(np.uint16)
    linear = imagecodecs.cms_profile("gray", gamma=1.0)
    try:
        curve = imagecodecs.cms_transform(
            ramp[None], gray, linear, colorspace="gray", outcolorspace="gray", outdtype=np.uint16
        )
    except imagecodecs.CmsError:
        return None
    profile = bytearray(
        imagecodecs.cms_profile(
            "rgb", whitepoint=D65, primaries=SRGB_PRIMARIES, transferfunction=curve.ravel()
        )
    )
    return _undated(profile)


def srgb_profile() -> bytes:
    return _undated(bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()))


def _undated(profile: bytearray) -> bytes:
    """With a fixed date: the same input gives the same output."""
    profile[CREATED] = np.array([2026, 1, 1, 0, 0, 0], ">u2").tobytes()
    return bytes(profile)


def rgb_from_cmyk(cmyk: NDArray[Any], profile: bytes | None) -> NDArray[Any]:
    """CMYK [H, W, 4] of 8 or 16 bits (all ones is full ink) -> sRGB [H, W, 3], through a sound profile."""
    if profile is not None and color_space(profile) == "CMYK":
        try:
            return imagecodecs.cms_transform(
                np.ascontiguousarray(cmyk), profile, srgb_profile(), colorspace="cmyk", outcolorspace="rgb",
                outdtype=cmyk.dtype,
            )  # fmt: skip
        except imagecodecs.CmsError:
            pass  # a broken profile says nothing about the inks
    peak = np.iinfo(cmyk.dtype).max
    light = peak - cmyk.astype(np.uint32)
    return ((light[:, :, :3] * light[:, :, 3:] + peak // 2) // peak).astype(cmyk.dtype)
