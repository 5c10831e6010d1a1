"""The sky about one star.

In: a patch (NaN where a pixel must not be used). Out: level, slopes and noise of the sky.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .compiled import in_place
from .patches import Patch
from .quantile import quantile

Array = NDArray[np.float64]

RING = 3
"""Thickness of the ring about a fit's window in which the sky is measured, px."""


@in_place
def sky_around(patch: Patch, x0: int, y0: int, half: int, sky: Array, scratch: NDArray[np.float32]) -> int:
    """Sky in a square ring about a window: ``sky`` = level, slope per px along x and y, noise of a pixel.

    Returns the number of pixels used. With fewer than 24, ``sky`` is left as it is.
    """
    height, width = patch.shape
    outer = half + RING
    n = 0
    for y in range(max(0, y0 - outer), min(height, y0 + outer + 1)):
        inside = abs(y - y0) <= half
        x = max(0, x0 - outer)
        while x < min(width, x0 + outer + 1):
            if inside and abs(x - x0) <= half:
                x = x0 + half + 1
                continue
            if math.isfinite(patch[y, x]):
                scratch[n] = patch[y, x]
                n += 1
            x += 1
    if n < 24:
        return n
    middle = quantile(scratch, n, 0.5)
    rough = max(1.4 * (middle - quantile(scratch, n, 0.2)), 1e-3) + 0.3
    # least squares plane over what is within 3 sigma; the ring is symmetric, so its normal equations are near diagonal
    s0 = sx = sy = sxx = syy = sv = svx = svy = svv = 0.0
    for y in range(max(0, y0 - outer), min(height, y0 + outer + 1)):
        inside = abs(y - y0) <= half
        x = max(0, x0 - outer)
        while x < min(width, x0 + outer + 1):
            if inside and abs(x - x0) <= half:
                x = x0 + half + 1
                continue
            value = float(patch[y, x]) - middle
            if abs(value) < 3.2 * rough:
                u, v = float(x - x0), float(y - y0)
                s0 += 1.0
                sx += u
                sy += v
                sxx += u * u
                syy += v * v
                sv += value
                svx += value * u
                svy += value * v
                svv += value * value
            x += 1
    if s0 < 24:
        return int(s0)
    mean, mx, my = sv / s0, sx / s0, sy / s0
    slope_x = (svx - mx * sv) / (sxx - mx * sx)
    slope_y = (svy - my * sv) / (syy - my * sy)
    variance = svv / s0 - mean * mean - slope_x**2 * (sxx / s0 - mx * mx) - slope_y**2 * (syy / s0 - my * my)
    sky[0] = middle + mean - slope_x * mx - slope_y * my
    sky[1], sky[2] = slope_x, slope_y
    sky[3] = math.sqrt(max(variance, 0.0) * s0 / (s0 - 3.0) * 1.01)
    return int(s0)
