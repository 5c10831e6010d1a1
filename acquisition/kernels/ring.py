"""The sky about one star.

In: a patch (NaN where a pixel must not be used). Out: level, slopes and noise of the sky.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .compiled import in_place, vectorised
from .patches import Patch, all_usable
from .quantile import quantile

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

RING = 3
"""Thickness of the ring about a fit's window in which the sky is measured, px."""


@in_place
def sky_around(patch: Patch, x0: int, y0: int, half: int, sky: Array, scratch: Floats) -> int:
    """Sky in a square ring about a window: ``sky`` = level, slope per px along x and y, noise of a pixel.

    Returns the number of pixels used. With fewer than 24, ``sky`` is left as it is. ``scratch`` is a place to work in,
    [3, `room_for` the ring's pixels].
    """
    outer = half + RING
    values, columns, rows = scratch[0], scratch[1], scratch[2]
    n = _ring(patch, x0, y0, half, outer, values, columns, rows)
    n = _usable(values[:n], columns, rows)
    if n < 24:
        return n
    slack = 0.5 + n / 64.0  # it only says what to leave out
    middle = quantile(values, n, 0.5, slack)
    rough = max(1.4 * (middle - quantile(values, n, 0.2, slack)), 1e-3) + 0.3
    return _plane(values[:n], columns, rows, middle, 3.2 * rough, sky)


@vectorised
def _ring(patch: Patch, x0: int, y0: int, half: int, outer: int, values: Floats, columns: Floats, rows: Floats) -> int:
    """Pixels between two squares, and where they are; returns how many."""
    height, width = patch.shape
    left, right = max(0, x0 - outer), min(width, x0 + outer + 1)
    n = 0
    for y in range(max(0, y0 - outer), min(height, y0 + outer + 1)):
        inside = abs(y - y0) <= half
        v = np.float32(y - y0)
        # a whole row, or what is on both sides of the window
        for side in range(2):
            first = left if side == 0 else x0 + half + 1
            last = (max(x0 - half, left) if inside else right) if side == 0 else (right if inside else first)
            u = np.float32(first - x0)
            pixels = patch[y, first:last]
            for i in range(pixels.size):
                values[n + i] = pixels[i]
                columns[n + i] = u + np.float32(i)
                rows[n + i] = v
            n += pixels.size
    return n


@in_place
def _usable(values: Floats, columns: Floats, rows: Floats) -> int:
    """Move the finite values, and where they are, to the front; how many these are."""
    if all_usable(values):
        return values.size
    n = 0
    for k in range(values.size):
        values[n], columns[n], rows[n] = values[k], columns[k], rows[k]
        n += math.isfinite(values[k])
    return n


@vectorised
def _plane(value: Floats, u: Floats, v: Floats, middle: float, limit: float, sky: Array) -> int:
    """Least squares plane over what is within a limit of a level; returns how many pixels that are.

    The ring is symmetric, so its normal equations are near diagonal.
    """
    around, most, none, one = np.float32(middle), np.float32(limit), np.float32(0.0), np.float32(1.0)
    s0 = sx = sy = sxx = syy = sv = svx = svy = svv = none
    for i in range(value.size):
        d = value[i] - around
        w = one if abs(d) < most else none
        d = d if abs(d) < most else none
        s0 += w
        sx += w * u[i]
        sy += w * v[i]
        sxx += w * u[i] * u[i]
        syy += w * v[i] * v[i]
        sv += d
        svx += d * u[i]
        svy += d * v[i]
        svv += d * d
    if s0 < 24:
        return int(s0)
    n = float(s0)
    mean, mx, my = sv / n, sx / n, sy / n
    slope_x = (svx - mx * sv) / (sxx - mx * sx)
    slope_y = (svy - my * sv) / (syy - my * sy)
    variance = svv / n - mean * mean - slope_x**2 * (sxx / n - mx * mx) - slope_y**2 * (syy / n - my * my)
    sky[0] = middle + mean - slope_x * mx - slope_y * my
    sky[1], sky[2] = slope_x, slope_y
    sky[3] = math.sqrt(max(float(variance), 0.0) * n / (n - 3.0) * 1.01)
    return int(n)
