"""The half-flux diameter, which measures focus even where a star is no longer a peak.

In: light of a window. Out: a diameter.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .compiled import in_place

Array = NDArray[np.float64]


@in_place
def half_flux_diameter(
    value: Array, use: NDArray[np.uint8], nx: int, ny: int, base: float, x: float, y: float, growth: Array
) -> float:
    """Diameter about (x, y) that holds half of the window's flux, px; 0 when there is none.

    ``value`` and ``use`` are the window's rows, one after the other, ``nx`` px of each belong to it.
    ``growth`` is a place to work in, of at least twice the window's side.
    Half-pixel steps of radius; near the centre each pixel is split in 3 x 3, so that narrow stars come out right.
    """
    pitch = value.size // ny
    steps = 2 * max(nx, ny)
    growth[:steps] = 0.0
    limit = min(min(x, nx - 1 - x), min(y, ny - 1 - y)) + 0.5
    for j in range(ny):
        for i in range(nx):
            if use[j * pitch + i] != 0:
                amount = (value[j * pitch + i] - base) / 9.0
                if (i - x) ** 2 + (j - y) ** 2 > 25.0:
                    r = math.sqrt((i - x) ** 2 + (j - y) ** 2)
                    if r < limit:
                        growth[min(int(2.0 * r), steps - 1)] += 9.0 * amount
                    continue
                for b in range(-1, 2):
                    for a in range(-1, 2):
                        r = math.sqrt((i + a / 3.0 - x) ** 2 + (j + b / 3.0 - y) ** 2)
                        if r < limit:
                            growth[min(int(2.0 * r), steps - 1)] += amount
    total = 0.0
    for s in range(steps):
        total += growth[s]
    if not total > 0.0:
        return 0.0
    inner = 0.0
    for s in range(steps):
        if inner + growth[s] >= 0.5 * total and growth[s] > 0.0:
            # flux within r grows like r squared inside a step
            part = (0.5 * total - inner) / growth[s]
            r0, r1 = 0.5 * s, 0.5 * (s + 1)
            return 2.0 * math.sqrt(r0 * r0 + part * (r1 * r1 - r0 * r0))
        inner += growth[s]
    return 0.0
