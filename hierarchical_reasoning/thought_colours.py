"""The colour that a thought type has wherever it is shown: in every run, view and picture."""

from __future__ import annotations

import colorsys
import zlib

HUES = 24
"""As many as can be told apart."""


def hue_of(thought_type: str) -> float:
    """From 0 to 1, as around the circle of colours."""
    return zlib.crc32(thought_type.encode("utf-8", "surrogatepass")) % HUES / HUES


def hex_of(hue: float, *, lightness: float, saturation: float) -> str:
    """As #rrggbb; all from 0 to 1."""
    return "#" + "".join(
        f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation)
    )
