"""Starlight onto pixels.

In: star positions, fluxes and the path of the field during the exposure. Out: expected electrons, added to a map.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from acquisition.kernels.compiled import compiled

from .process import Floats

Electrons = NDArray[np.float32]
Boxes = NDArray[np.int64]

FAINTEST_E = 0.1
"""Electrons per px that are not worth drawing."""

CDF_STEPS = 256
CDF_REACH = 6.5
CDF = ndtr(np.arange(-CDF_REACH, CDF_REACH + 1.5 / CDF_STEPS, 1 / CDF_STEPS)).astype(np.float32)
"""The normal distribution's, in steps of 1/256 sigma: linear between them it is right to 5e-7."""


@compiled
def add_stars(
    frame: Electrons,
    x0: int,
    y0: int,
    x: Floats,
    y: Floats,
    flux_e: Floats,
    path: Floats,
    sigma_px: float,
    parts: Floats,
) -> Boxes:
    """Add pixel-integrated stars to a frame, in place.

    Parameters
    ----------
    frame : [y, x] float32, electrons; its first pixel is detector pixel (x0, y0)
    x, y : [n], detector px, where the stars are in the middle of the path
    flux_e : [n], electrons
    path : [m, 5], pieces of the field's motion: dx, dy (px), share of the time, variance along x and along y (px²)
    sigma_px : of a star's core
    parts : [k, 4], the Gaussians that make a star: share of the light, variance over the core's, dx, dy (px)

    Returns
    -------
    [n, 4] int64
        The pixels of the frame that each star shines on: first and last column, first and last row.
    """
    height, width = frame.shape
    boxes = np.empty((x.shape[0], 4), np.int64)
    along_x = np.empty(width, np.float32)
    along_y = np.empty(height, np.float32)
    for star in range(x.shape[0]):
        box = boxes[star]
        box[0], box[1], box[2], box[3] = width, -1, height, -1
        for part in range(parts.shape[0]):
            light = flux_e[star] * parts[part, 0]
            variance = sigma_px**2 * parts[part, 1]
            for piece in range(path.shape[0]):
                amount = light * path[piece, 2]
                sx, sy = math.sqrt(variance + path[piece, 3]), math.sqrt(variance + path[piece, 4])
                cx = x[star] + path[piece, 0] + parts[part, 2] - x0
                cy = y[star] + path[piece, 1] + parts[part, 3] - y0
                peak = amount / (2 * math.pi * sx * sy)
                reach = math.sqrt(max(2 * math.log(max(peak / FAINTEST_E, 1e-300)), 4.0))
                left, right = (
                    max(0, math.ceil(cx - reach * sx - 0.5)),
                    min(width - 1, math.floor(cx + reach * sx + 0.5)),
                )
                low, high = max(0, math.ceil(cy - reach * sy - 0.5)), min(height - 1, math.floor(cy + reach * sy + 0.5))
                if amount <= 0 or left > right or low > high:
                    continue
                box[0], box[1], box[2], box[3] = (
                    min(box[0], left),
                    max(box[1], right),
                    min(box[2], low),
                    max(box[3], high),
                )
                _shares(cx, sx, left, right, along_x)
                _shares(cy, sy, low, high, along_y)
                for j in range(low, high + 1):
                    row = np.float32(amount) * along_y[j]
                    for i in range(left, right + 1):
                        frame[j, i] += row * along_x[i]
    return boxes


@compiled
def _shares(centre: float, sigma: float, first: int, last: int, shares: Electrons) -> None:
    """What falls onto each pixel, from the first to the last, of a Gaussian's light."""
    step = CDF_STEPS / sigma
    place = (first - 0.5 - centre) * step + CDF_REACH * CDF_STEPS
    end = np.float64(CDF.shape[0] - 2)
    before = np.float32(0.0)
    for i in range(first - 1, last + 1):
        at = min(max(place, 0.0), end)
        k = int(at)
        until = CDF[k] + (CDF[k + 1] - CDF[k]) * np.float32(at - k)
        if i >= first:
            shares[i] = until - before
        before = until
        place += step
