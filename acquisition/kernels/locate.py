"""Where stars are to a pixel: the common motion of all against the expectation, and each one's light next to it.

In: patches of a frame about the places expected. Out: first guesses for those that stand out.

All stars together choose one motion in whole pixels: the one under which most of them stand out. So a satellite, a
hot pixel or a neighbour near one star does not lead it astray.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .columns import NEAR_EDGE, NO_STAR, SIGNAL, STATUS
from .compiled import compiled, in_place, vectorised
from .patches import Patch, Patches, all_usable, edge_of, light_above
from .quantile import quantile, room_for

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

_CAP = 12.0  # significance at which one star's vote counts in full


@compiled
def locate(
    patches: Patches,
    corner: NDArray[np.int64],
    signal: Array,
    search: int,
    margin: float,
    height: int,
    width: int,
    skies: Array,
    guess: Array,
    table: Array,
) -> None:
    """Common motion of the patches' stars by vote, and where each star's light then is.

    Parameters
    ----------
    patches, corner : ndarray
        As of `patches.cut_patches`; the middle pixel of each is where its star is expected.
    signal : ndarray of float64
        Expected significance of each star's light; weighs the votes.
    search : int
        Largest common motion, px.
    margin : float
        Stars nearer to the frame's edge are not looked for, px.
    height, width : int
        Of the frame, px.
    skies : ndarray, shape [n, 4]
        Level and noise about each star on return, in columns 0 and 3; 0 where a patch has no usable pixel.
    guess : ndarray, shape [2, n]
        x and y in the frame on return; NaN where a star does not stand out.
    table : ndarray, shape [n, COLUMNS]
        On return SIGNAL is the significance of each star's light, and STATUS why a star has no guess.
    """
    n, rows, columns = patches.shape
    side = 2 * search + 3  # one more all around, for each star's own last pixel
    left, top = columns // 2 - search - 2, rows // 2 - search - 2  # first of the pixels that are looked at
    pitch = (side + 9) // 8 * 8  # of rows, one after the other: long loops are what SIMD likes
    light, boxes = np.zeros((n, (side + 2) * pitch), np.float32), np.zeros((n, side * pitch), np.float32)
    sums, peaks = np.zeros((side + 2) * pitch, np.float32), np.zeros((side + 2) * pitch, np.float32)
    scratch, votes = np.empty(room_for(2 * (rows + columns)), np.float32), np.zeros(side * pitch, np.float32)
    for k in range(n):
        border_sky(patches[k], scratch, skies[k])
        if skies[k, 3] > 0.0:
            weight = min(signal[k], _CAP)
            light_above(patches[k], left, top, side + 2, skies[k, 0], light[k])
            _boxes(light[k], pitch, sums, peaks, boxes[k])
            _vote(boxes[k], math.sqrt(8.0) * skies[k, 3], weight, votes)
    best, bi, bj = -1.0, search + 1, search + 1
    for j in range(1, side - 1):
        for i in range(1, side - 1):
            # of equal votes the one nearest to the expectation
            score = votes[j * pitch + i] - 1e-3 * ((i - search - 1) ** 2 + (j - search - 1) ** 2)
            if score > best:
                best, bi, bj = score, i, j
    for k in range(n):
        # its own brightest place next to the common one
        own, oi, oj = -np.inf, bi, bj
        for j in range(bj - 1, bj + 2):
            for i in range(bi - 1, bi + 2):
                if boxes[k, j * pitch + i] > own:
                    own, oi, oj = boxes[k, j * pitch + i], i, j
        table[k, SIGNAL] = own
        x, y = _light_centre(light[k], pitch, oi + 1, oj + 1)
        x, y = x + left + corner[k, 0], y + top + corner[k, 1]
        inside = margin <= x <= width - 1 - margin and margin <= y <= height - 1 - margin
        stands = inside and own > max(2.5, 0.1 * min(signal[k], 100.0))
        table[k, STATUS] = NO_STAR if inside else NEAR_EDGE
        guess[0, k], guess[1, k] = (x, y) if stands else (np.nan, np.nan)


@in_place
def border_sky(patch: Patch, scratch: Floats, sky: Array) -> None:
    """Level and noise of a patch's outermost pixels into ``sky``; level 0 and noise 0 without a usable one.

    The noise is from how far what is below the median is below it: stars do not reach there.
    """
    rows, columns = patch.shape
    edge_of(patch, 0, 0, columns, rows, scratch)
    n = _usable(scratch[: 2 * (rows + columns) - 4])
    whole = scratch[: room_for(n)]
    sky[0] = sky[1] = sky[2] = sky[3] = 0.0
    if n > 0:
        sky[0] = quantile(scratch, n, 0.5, 0.5 + n / 64.0)
        rough = _depth(whole, n, sky[0], 1e30)
        sky[3] = max(_depth(whole, n, sky[0], 3.0 * rough), 0.2887)


@in_place
def _usable(values: Floats) -> int:
    """Move the finite values to the front; how many these are."""
    if all_usable(values):
        return values.size
    n = 0
    for value in values:
        values[n] = value
        n += math.isfinite(value)
    return n


@vectorised
def _depth(values: Floats, n: int, level: float, limit: float) -> float:
    """Standard deviation of what is below the median: from the mean distance, none of them above the limit.

    The values after the first n, which `quantile` made infinite, count as above.
    """
    middle, most, none = np.float32(level), np.float32(limit), np.float32(0.0)
    total = none
    for i in range(values.size):
        total += min(max(middle - values[i], none), most)
    return 2.5066 * float(total) / n


@vectorised
def _boxes(light: Floats, pitch: int, sums: Floats, peaks: Floats, out: Floats) -> None:
    """For each 3 x 3 px: sum less the brightest pixel, which is what a star has and a hot pixel has not.

    ``out[k]`` is the box whose first pixel is ``light[k]``; there is none that reaches beyond a row's end.
    """
    for i in range(light.size - 2):
        sums[i] = light[i] + light[i + 1] + light[i + 2]
    for i in range(light.size - 2):
        a, b, c = light[i], light[i + 1], light[i + 2]
        higher = a if a > b else b
        peaks[i] = higher if higher > c else c
    peaks1, peaks2, sums1, sums2 = peaks[pitch:], peaks[2 * pitch :], sums[pitch:], sums[2 * pitch :]
    for i in range(out.size):
        a, b, c = peaks[i], peaks1[i], peaks2[i]
        higher = a if a > b else b
        out[i] = sums[i] + sums1[i] + sums2[i] - (higher if higher > c else c)


@vectorised
def _vote(boxes: Floats, unit: float, weight: float, votes: Floats) -> None:
    """One star's votes: the significance of each box, no more than the star's weight."""
    scale, most, none = np.float32(1.0 / unit), np.float32(weight), np.float32(0.0)
    for i in range(boxes.size):
        v = boxes[i] * scale
        boxes[i] = v
        v = v if v < most else most
        votes[i] += v if v > none else none


@in_place
def _light_centre(light: Floats, pitch: int, x: int, y: int) -> tuple[float, float]:
    """Centre of the 3 x 3 px about a pixel, never more than a pixel away from it."""
    s = sx = sy = 0.0
    for j in range(-1, 2):
        for i in range(-1, 2):
            value = max(float(light[(y + j) * pitch + x + i]), 0.0)
            s += value
            sx += value * i
            sy += value * j
    if s <= 0.0:
        return float(x), float(y)
    return x + sx / s, y + sy / s
