"""The colour of each thought type on every page and picture of a report.

Hues go round the circle in the order of the taxonomy's leaves, and a node has the hue in the middle of its leaves: what
is near in the tree is near in colour, and a thought type keeps its colour at every level and in every report on the
same taxonomy. Neighbours differ in lightness besides. OKLCH, in which equal steps look equal: Ottosson, B. (2020), "A
perceptual color space for image processing".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hierarchical_reasoning.thought_colours import hue_of
from hierarchical_reasoning.trace import FINISH
from taxonomy.model import Taxonomy

_CHROMA = 0.125
_LIGHT = (0.64, 0.75)
_DARK = (0.74, 0.62)
"""Lightness on a light and on a dark page, of thought types by turns."""
_FIRST_HUE = 0.07


@dataclass(frozen=True)
class Colour:
    """As #rrggbb."""

    light: str
    """On a light page, and on paper."""
    dark: str


FINISH_COLOUR = Colour("#c9ced6", "#4a5362")


def thought_type_colours(
    names: Iterable[str], node_of: Mapping[str, str], taxonomy: Taxonomy | None
) -> dict[str, Colour]:
    """By name.

    Args:
        names: of thought types, whatever their level.
        node_of: the taxonomy's node of each name that has one.
        taxonomy: None where there is none; what is not in it has the colour of its name.
    """
    places = {} if taxonomy is None else node_places(taxonomy)
    found = {}
    for name in names:
        place = places.get(node_of.get(name, ""))
        if name == FINISH:
            found[name] = FINISH_COLOUR
        elif place is None:
            found[name] = _colour(hue_of(name), 0)
        else:
            found[name] = node_colour(place)
    return found


def node_places(taxonomy: Taxonomy) -> dict[str, tuple[float, int]]:
    """Where each node is among the leaves, from 0 to 1, and whether its lightness is the first or the second."""
    leaves = [node.node_id for node in taxonomy.walk() if not taxonomy.children(node.node_id)]
    number = {node_id: place for place, node_id in enumerate(leaves)}
    places = {}
    for node in taxonomy.walk():
        below = [number[each.node_id] for each in taxonomy.subtree(node.node_id) if each.node_id in number]
        middle = (below[0] + below[-1]) / 2
        places[node.node_id] = ((middle + 0.5) / len(leaves), round(middle) % 2)
    return places


def node_colour(place: tuple[float, int]) -> Colour:
    """Of a node at one of `node_places`."""
    return _colour(place[0] + _FIRST_HUE, place[1])


def _colour(turn: float, shade: int) -> Colour:
    return Colour(_hex(_LIGHT[shade], turn), _hex(_DARK[shade], turn))


def _hex(lightness: float, turn: float) -> str:
    """The colour of that lightness and hue, as strong as a screen can show it up to `_CHROMA`."""
    chroma = _CHROMA
    parts = _linear(lightness, chroma, turn)
    while min(parts) < 0 or max(parts) > 1:
        chroma *= 0.95
        parts = _linear(lightness, chroma, turn)
    return "#" + "".join(f"{round(255 * _encoded(part)):02x}" for part in parts)


def _linear(lightness: float, chroma: float, turn: float) -> tuple[float, float, float]:
    """Linear sRGB of an OKLCH colour."""
    a, b = chroma * math.cos(2 * math.pi * turn), chroma * math.sin(2 * math.pi * turn)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )


def _encoded(part: float) -> float:
    part = min(max(part, 0.0), 1.0)
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055
