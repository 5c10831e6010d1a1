"""The half-flux diameter, which measures focus even where a star is no longer a peak.

In: light of a window. Out: a diameter.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .compiled import in_place, vectorised

Floats = NDArray[np.float32]

CORE = 88
"""Places that the pixels next to the centre need beyond those of the window."""


@in_place
def half_flux_diameter(
    value: Floats, use: Floats, nx: int, ny: int, base: float, x: float, y: float, places: Floats
) -> float:
    """Diameter about (x, y) that holds half of the window's flux, px; 0 when there is none.

    ``value`` and ``use`` (0 or 1) are the window's rows, one after the other, ``nx`` px of each belong to it. All
    light counts that is within the largest circle about (x, y) inside the window. ``places``, [3, `CORE` more than the
    window's pixels], is a place to work in.

    A pixel's light is spread over radii as wide as the pixel; the 3 x 3 about the centre are split in 3 x 3 each, so
    that narrow stars come out right.
    """
    size, pitch = value.size, value.size // ny
    distance, light, sharpness = places[0], places[1], places[2]
    for j in range(ny):
        a, b = j * pitch, (j + 1) * pitch
        _places(value[a:b], use[a:b], base, x, j - y, distance[a:b], light[a:b], sharpness[a:b])
    n = size
    for j in range(max(0, math.floor(y - 0.5)), min(ny, math.floor(y + 2.5))):
        for i in range(max(0, math.floor(x - 0.5)), min(nx, math.floor(x + 2.5))):
            share = light[j * pitch + i] / np.float32(9.0)
            light[j * pitch + i] = 0.0
            for b in range(-1, 2):
                for a in range(-1, 2):
                    distance[n] = math.sqrt((i + a / 3.0 - x) ** 2 + (j + b / 3.0 - y) ** 2)
                    light[n], sharpness[n] = share, 3.0
                    n += 1
    low, high = 0.0, min(min(x, nx - 1 - x), min(y, ny - 1 - y)) + 0.5
    total = _within(distance[:n], light, sharpness, high)
    if not total > 0.0:
        return 0.0
    for _ in range(12):
        middle = 0.5 * (low + high)
        if _within(distance[:n], light, sharpness, middle) < 0.5 * total:
            low = middle
        else:
            high = middle
    return low + high


@vectorised
def _places(
    value: Floats, use: Floats, base: float, x: float, v: float, distance: Floats, light: Floats, sharpness: Floats
) -> None:
    """Distance from the centre, light and sharpness of the pixels of a row."""
    level, centre, across = np.float32(base), np.float32(x), np.float32(v * v)
    for i in range(value.size):
        u = np.float32(i) - centre
        distance[i] = np.sqrt(u * u + across)
    for i in range(value.size):
        light[i] = use[i] * (value[i] - level)
    for i in range(value.size):
        sharpness[i] = np.float32(1.0)


@vectorised
def _within(distance: Floats, light: Floats, sharpness: Floats, radius: float) -> float:
    """Light within a radius."""
    r, half, none, one = np.float32(radius), np.float32(0.5), np.float32(0.0), np.float32(1.0)
    total = none
    for i in range(distance.size):
        total += light[i] * min(max(sharpness[i] * (r - distance[i]) + half, none), one)
    return float(total)
