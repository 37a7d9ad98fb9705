"""ICC profiles: what space one is for, and the RGB profile that matches a gray one.

A gray profile cannot stand on a color picture. Its tone curve can: an RGB profile with that curve on all
three channels shows every neutral exactly as the gray profile did, so no code value has to change.
Layouts are those of ICC.1:2022.
"""

import struct
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

Curve = NDArray[np.float64]

HEADER = 128
D50 = (0.9642, 1.0, 0.8249)
SRGB_PRIMARIES = {b"rXYZ": (0.43607, 0.22249, 0.01392), b"gXYZ": (0.38515, 0.71687, 0.09708),
                  b"bXYZ": (0.14307, 0.06061, 0.71410)}  # fmt: skip
"""Adapted to D50, as in the sRGB profiles of IEC 61966-2-1."""
CURVE_POINTS = 1024
LARGEST = 1 << 24
"""Bytes of a compressed profile that are unpacked at most."""


def color_space(profile: bytes) -> str:
    """`GRAY`, `RGB`, `CMYK`, ...; empty where this is no ICC profile."""
    if len(profile) < HEADER + 4 or profile[36:40] != b"acsp":
        return ""
    return profile[16:20].decode("ascii", "replace").strip()


def for_rgb(profile: bytes | None) -> bytes | None:
    """The profile to stand on a colored picture whose source had `profile`; None where none is known."""
    if profile is None:
        return None
    space = color_space(profile)
    return profile if space == "RGB" else rgb_profile_like(profile) if space == "GRAY" else None


def rgb_profile_like(gray: bytes) -> bytes | None:
    """An RGB profile whose neutrals look as under the GRAY profile `gray`; None if it has no tone curve."""
    curve = _tag(gray, b"kTRC")
    if curve is None or curve[:4] not in (b"curv", b"para"):
        return None
    if gray[20:24] == b"Lab ":
        curve = _curve_tag(_luminance(_lightness(curve)))
    tags = {
        b"desc": _text("RGB with the tone curve of the original gray profile"),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": _xyz(D50),
        **{name: _xyz(value) for name, value in SRGB_PRIMARIES.items()},
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _assemble(tags)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


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
    left = peak - cmyk.astype(np.uint32)
    return ((left[:, :, :3] * left[:, :, 3:] + peak // 2) // peak).astype(cmyk.dtype)


def _tag(profile: bytes, name: bytes) -> bytes | None:
    (count,) = struct.unpack_from(">I", profile, HEADER)
    for i in range(min(count, (len(profile) - HEADER - 4) // 12)):
        signature, offset, size = struct.unpack_from(">4sII", profile, HEADER + 4 + 12 * i)
        if signature == name and offset + size <= len(profile) and size >= 12:
            return profile[offset : offset + size]
    return None


def _lightness(curve: bytes) -> Curve:
    """A tone curve sampled at `CURVE_POINTS` equal steps, in [0, 1]."""
    steps: Curve = np.linspace(0, 1, CURVE_POINTS)
    if curve[:4] == b"para":
        gamma: float = struct.unpack_from(">i", curve, 12)[0] / 65536  # of any parametric type
        return steps**gamma
    (count,) = struct.unpack_from(">I", curve, 8)
    if count == 0:
        return steps
    if count == 1:
        gamma = struct.unpack_from(">H", curve, 12)[0] / 256
        return steps**gamma
    values = np.frombuffer(curve, ">u2", count, 12) / 65535
    return np.interp(steps, np.linspace(0, 1, count), values)


def _luminance(lightness: Curve) -> Curve:
    """CIE 1976 lightness in [0, 1] -> relative luminance Y."""
    root = (lightness * 100 + 16) / 116
    return np.where(root > 6 / 29, root**3, (root - 4 / 29) * 3 * (6 / 29) ** 2)


def _curve_tag(values: Curve) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + (values * 65535).round().astype(">u2").tobytes()


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(part * 65536)) for part in value)


def _text(text: str) -> bytes:
    """A `mluc` tag: one string, American English."""
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _assemble(tags: dict[bytes, bytes]) -> bytes:
    table, body, places = b"", b"", {}
    start = HEADER + 4 + 12 * len(tags)
    for name, content in tags.items():
        if content not in places:  # the three channels share one curve
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    size = start + len(body)
    header = struct.pack(
        ">I4sI4s4s4s6H4sIIII8sI3i4s16s28x",
        size, b"\0\0\0\0", 0x04300000, b"mntr", b"RGB ", b"XYZ ", 2026, 1, 1, 0, 0, 0, b"acsp", 0, 0, 0, 0,
        bytes(8), 0, *(round(part * 65536) for part in D50), bytes(4), bytes(16),
    )  # fmt: skip
    return header + struct.pack(">I", len(tags)) + table + body
