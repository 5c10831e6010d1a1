"""Where stars may be: one pass over the frame.

In: a frame [y, x] as it came from the camera, a mask, its `Background`. Out: candidates, the most significant first.

A candidate is a local maximum of 3 x 3 sums that stands out of the noise. The sum nearly is the matched filter of a
star of 2 to 3 px. What a star cannot be is left out: single pixels (defects, most cosmic hits) and pieces of columns
or rows, told by the neighbours of the brightest pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .background import Background
from .compiled import compiled, vectorised

Array = NDArray[np.float64]

_SEGMENT = 32  # px of a row that are looked at more closely if one of them stands out
_MOST = 4096  # candidates before sorting


def find_candidates(
    frame: NDArray[Any], bad: NDArray[np.uint8], background: Background, threshold: float = 4.5, most: int = 400
) -> Array:
    """Places where a star may be.

    Parameters
    ----------
    frame, bad : ndarray
        As for `background.measure_background`.
    background : Background
        Of this frame.
    threshold : float
        Significance of the 3 x 3 sum, in its noise.
    most : int
        Return at most so many.

    Returns
    -------
    ndarray of float64, shape [n, 3]
        x, y (0-based, to about half a pixel) and significance, most significant first; n may be 0. Candidates within
        2 px of the frame's edge are left out.
    """
    found = np.empty((_MOST, 3))
    n = _scan(frame, bad, background.level, background.noise, threshold, found)
    order = np.argsort(found[:n, 2], kind="stable")[::-1][:most]
    return np.ascontiguousarray(found[order])


@vectorised
def _scan(
    frame: NDArray[Any],
    bad: NDArray[np.uint8],
    level: NDArray[np.float32],
    noise: NDArray[np.float32],
    threshold: float,
    found: Array,
) -> int:
    height, width = frame.shape
    if height < 7 or width < 7:
        return 0
    by, bx = level.shape
    masked = bad.size > 0
    segments = (width + _SEGMENT - 1) // _SEGMENT
    padded = segments * _SEGMENT
    pixels = np.zeros((3, padded + 2), np.float32)  # rows above the sky, rolling; pixel x is at x + 1
    sums = np.zeros((3, padded + 2), np.float32)
    column = np.zeros(padded + 2, np.float32)
    highest = np.zeros((3, segments), np.float32)
    limit = np.zeros((3, segments), np.float32)
    sky = np.zeros(width, np.float32)
    across_level, across_noise = np.empty(bx, np.float32), np.empty(bx, np.float32)
    n, floor = 0, 0.0
    for y in range(height):
        v = min(max((y + 0.5) * by / height - 0.5, 0.0), by - 1.0)
        j = min(int(v), max(by - 2, 0))
        fy, j1 = np.float32(v - j), min(j + 1, by - 1)
        for i in range(bx):
            across_level[i] = level[j, i] * (1 - fy) + level[j1, i] * fy
            across_noise[i] = noise[j, i] * (1 - fy) + noise[j1, i] * fy
        if y % 4 == 0:
            _spread(across_level, width, sky)
        row = pixels[y % 3]
        for x in range(width):
            above = np.float32(frame[y, x]) - sky[x]
            row[x + 1] = above if abs(above) < np.float32(1e30) else np.float32(0.0)  # NaN and inf: nothing there
        if masked:
            for x in range(width):
                if bad[y, x] != 0:
                    row[x + 1] = 0.0
        if y < 2:
            continue
        # sums about row y - 1
        middle = y - 1
        r0, r1, r2 = pixels[0], pixels[1], pixels[2]
        for x in range(padded + 2):
            column[x] = r0[x] + r1[x] + r2[x]
        total = sums[middle % 3]
        for x in range(1, padded + 1):
            total[x] = column[x - 1] + column[x] + column[x + 1]
        for s in range(segments):
            top = np.float32(-1e30)
            for x in range(s * _SEGMENT + 1, (s + 1) * _SEGMENT + 1):
                top = max(top, total[x])
            highest[middle % 3, s] = top
            u = min(max((s + 0.5) * _SEGMENT * bx / width - 0.5, 0.0), bx - 1.0)
            i = min(int(u), max(bx - 2, 0))
            fx = u - i
            sigma = across_noise[i] * (1 - fx) + across_noise[min(i + 1, bx - 1)] * fx
            limit[middle % 3, s] = 3.0 * sigma
        if y < 4:
            continue
        # local maxima of row y - 2, whose neighbours are now known
        here = y - 2
        up, mid, down = sums[(here - 1) % 3], sums[here % 3], sums[(here + 1) % 3]
        for s in range(segments):
            if not highest[here % 3, s] > threshold * limit[here % 3, s]:
                continue
            for x in range(max(2, s * _SEGMENT), min(width - 2, (s + 1) * _SEGMENT)):
                t, i = mid[x + 1], x + 1
                if (
                    t > threshold * limit[here % 3, s]
                    and t > mid[i - 1]
                    and t >= mid[i + 1]
                    and t > up[i - 1]
                    and t > up[i]
                    and t > up[i + 1]
                    and t >= down[i - 1]
                    and t >= down[i]
                    and t >= down[i + 1]
                ):
                    significance = float(t / limit[here % 3, s])
                    if significance <= floor:
                        continue
                    if not _is_extended(frame, bad, x, here, sky[x], limit[here % 3, s] / 3.0):
                        continue
                    if n == found.shape[0]:
                        n, floor = _keep_better(found)
                        if n == found.shape[0]:
                            return n
                    found[n, 0], found[n, 1], found[n, 2] = x, here, significance
                    n += 1
    return n


@compiled
def _spread(across: NDArray[np.float32], width: int, out: NDArray[np.float32]) -> None:
    """Linear interpolation of block centres along a row."""
    bx = across.size
    for x in range(width):
        u = min(max((x + 0.5) * bx / width - 0.5, 0.0), bx - 1.0)
        i = min(int(u), max(bx - 2, 0))
        f = u - i
        out[x] = across[i] * (1 - f) + across[min(i + 1, bx - 1)] * f


@compiled
def _keep_better(found: Array) -> tuple[int, float]:
    """Forget the less significant of a full list; returns how many stay, and the floor that newcomers must exceed."""
    mean = 0.0
    for k in range(found.shape[0]):
        mean += found[k, 2] / found.shape[0]
    n = 0
    for k in range(found.shape[0]):
        if found[k, 2] > mean:
            for q in range(3):
                found[n, q] = found[k, q]
            n += 1
    return n, mean


@compiled
def _is_extended(frame: NDArray[Any], bad: NDArray[np.uint8], x: int, y: int, sky: float, sigma: float) -> bool:
    """Whether the light about a pixel is spread as a star's: not one pixel, not a piece of a column or row.

    The limits are for the sharpest star that is still measured, FWHM 1 px centred on a pixel: its four neighbours
    together have 0.63 of the peak.
    """
    px, py, peak = x, y, -np.inf
    for j in range(y - 1, y + 2):
        for i in range(x - 1, x + 2):
            if float(frame[j, i]) > peak and not (bad.size > 0 and bad[j, i] != 0):
                px, py, peak = i, j, float(frame[j, i])
    if px < 1 or py < 1 or px >= frame.shape[1] - 1 or py >= frame.shape[0] - 1:
        return False
    peak -= sky
    across = float(frame[py, px - 1]) + float(frame[py, px + 1]) - 2 * sky
    along = float(frame[py - 1, px]) + float(frame[py + 1, px]) - 2 * sky
    if not across + along > max(0.35 * peak, 2.5 * sigma):
        return False
    slack = 1.5 * sigma
    return across + slack > 0.1 * peak and along + slack > 0.1 * peak
