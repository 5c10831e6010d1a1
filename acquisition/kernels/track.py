"""Known stars, found again in small windows.

In: a frame, where its stars are expected, how bright they were. Out: one row of `centroid` numbers a star, and how
many of them stood out where the common motion puts them.

First all stars together choose one common motion in whole pixels: the one under which most of them stand out. So a
satellite, a hot pixel or a neighbour near one star does not lead it astray. Then each is measured on its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .background import quantile
from .centroid import COLUMNS, NEAR_EDGE, NO_STAR, RING, STATUS, cut_patches, fit_stars, window_stars
from .compiled import compiled
from .psf import Psf

Array = NDArray[np.float64]

_CAP = 12.0  # significance at which one star's vote counts in full


@dataclass(frozen=True, slots=True)
class Tracked:
    """Stars of one frame.

    Attributes
    ----------
    table : ndarray, shape [n, COLUMNS]
        Columns as `centroid`'s, positions in the frame.
    shift : (int, int)
        The common motion against the expectation, whole px.
    standing_out : ndarray of bool
        Whether a star's light stands out where the common motion puts it.
    signal : ndarray
        Significance of each star's light there: of the 3 x 3 px about it but for the brightest, in their noise.
    agreement : float
        Share of the votes' possible sum that the common motion got: 1 when every star stood out as expected.
    """

    table: Array
    shift: tuple[int, int]
    standing_out: NDArray[np.bool_]
    signal: Array
    agreement: float


def track(
    frame: NDArray[Any],
    bad: NDArray[np.uint8],
    x: Array,
    y: Array,
    signal: Array,
    psf: Psf,
    *,
    search_px: int,
    adu_per_e: float,
    saturation: float,
    window_sigma_px: float | None = None,
    free_width_above: float = np.inf,
) -> Tracked:
    """Measure stars near where they are expected.

    Parameters
    ----------
    frame, bad : ndarray
        As for `background.measure_background`.
    x, y : ndarray of float64
        Expected places, 0-based px; may lie outside the frame.
    signal : ndarray of float64
        Expected significance of each star's light (`Tracked.signal`); weighs the votes.
    psf : Psf
        Profile of the stars.
    search_px : int
        Largest common motion against the expectation, px.
    adu_per_e, saturation : float
        As for `centroid.fit_star`.
    window_sigma_px : float, optional
        Take windowed centroids with this sigma instead of fits.
    free_width_above : float
        Fit the widths of stars of at least this signal, too.
    """
    half = psf.half_window_px
    x, y = np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64)
    patches, corner = cut_patches(frame, bad, x, y, half + RING + search_px + 2)
    n = len(x)
    guess, skies, table = np.empty((2, n)), np.zeros((n, 4)), np.full((n, COLUMNS), np.nan)
    seen, shift = np.zeros(n), np.zeros(3)
    widest = max(psf.fwhm_x, psf.fwhm_y)
    _locate(patches, np.ascontiguousarray(signal, np.float64), search_px, skies, guess, seen, shift)
    guess += corner.T
    margin = max(2.0, 0.6 * widest)
    height, width = frame.shape
    outside = (guess[0] < margin) | (guess[1] < margin)
    outside |= (guess[0] > width - 1 - margin) | (guess[1] > height - 1 - margin)
    stands = ~outside & (seen > np.maximum(2.5, 0.1 * np.minimum(signal, 100.0)))
    table[:, STATUS] = np.where(outside, NEAR_EDGE, NO_STAR)
    guess[:, ~stands] = np.nan
    reach = 1.5 + 0.5 * widest
    if window_sigma_px is None:
        free = signal >= free_width_above
        fit_stars(
            patches, corner, guess[0], guess[1], psf.fwhm_x, psf.fwhm_y, psf.weights, psf.scales, free, adu_per_e,
            saturation, half, reach, skies, table,
        )  # fmt: skip
    else:
        window_stars(
            patches, corner, guess[0], guess[1], window_sigma_px, adu_per_e, saturation, half, reach, skies, table
        )
    return Tracked(table, (int(shift[0]), int(shift[1])), stands, seen, float(shift[2]))


@compiled
def _boxes_without_peak(
    patch: NDArray[np.float32], first: int, sky: float, sums: Array, peaks: Array, out: Array
) -> None:
    """For each 3 x 3 px of a patch: sum above the sky less the brightest pixel.

    That is what a star has and a hot pixel has not.
    ``out[j, i]`` is the box whose first pixel is (first + i, first + j); pixels that must not be used count as sky.
    """
    side = out.shape[0]
    for j in range(side + 2):
        for i in range(side):
            total, peak = 0.0, -1e30
            for k in range(3):
                value = patch[first + j, first + i + k] - sky
                value = value if math.isfinite(value) else 0.0
                total += value
                peak = max(peak, value)
            sums[j, i], peaks[j, i] = total, peak
    for j in range(side):
        for i in range(side):
            total = sums[j, i] + sums[j + 1, i] + sums[j + 2, i]
            out[j, i] = total - max(peaks[j, i], max(peaks[j + 1, i], peaks[j + 2, i]))


@compiled
def border_sky(patch: NDArray[np.float32], scratch: NDArray[np.float32], sky: Array) -> None:
    """Level and noise of a patch's two outermost rings into ``sky``; level 0 and noise 0 without a usable pixel."""
    size = patch.shape[0]
    n = 0
    for k in range(size):
        for edge in range(2):
            for value in (patch[edge, k], patch[size - 1 - edge, k], patch[k, edge], patch[k, size - 1 - edge]):
                if math.isfinite(value):
                    scratch[n] = value
                    n += 1
    sky[0] = sky[1] = sky[2] = sky[3] = 0.0
    if n > 0:
        sky[0] = quantile(scratch, n, 0.5)
        sky[3] = max(sky[0] - quantile(scratch, n, 0.158655), 0.2887)


@compiled
def _locate(
    patches: NDArray[np.float32], signal: Array, search: int, skies: Array, guess: Array, seen: Array, shift: Array
) -> None:
    """Common motion of the patches' stars by vote, and where each star's light then is in its patch."""
    n, size = patches.shape[0], patches.shape[1]
    middle = size // 2
    side = 2 * search + 3  # one more all around, for each star's own last pixel
    boxes = np.zeros((n, side, side))
    scratch = np.empty(8 * size, np.float32)
    sums, peaks, votes = np.zeros((side + 2, side)), np.zeros((side + 2, side)), np.zeros((side, side))
    possible = 0.0
    for k in range(n):
        border_sky(patches[k], scratch, skies[k])
        noise = skies[k, 3]
        if noise <= 0.0:
            continue
        weight = min(signal[k], _CAP)
        possible += weight
        _boxes_without_peak(patches[k], middle - search - 2, skies[k, 0], sums, peaks, boxes[k])
        for j in range(side):
            for i in range(side):
                boxes[k, j, i] /= math.sqrt(8.0) * noise
                if 0 < i < side - 1 and 0 < j < side - 1:
                    votes[j, i] += min(max(boxes[k, j, i], 0.0), weight)
    best, bi, bj = -1.0, search + 1, search + 1
    for j in range(1, side - 1):
        for i in range(1, side - 1):
            # of equal votes the one nearest to the expectation
            score = votes[j, i] - 1e-3 * ((i - search - 1) ** 2 + (j - search - 1) ** 2)
            if score > best:
                best, bi, bj = score, i, j
    shift[0], shift[1] = bi - search - 1, bj - search - 1
    shift[2] = votes[bj, bi] / possible if possible > 0.0 else 0.0
    for k in range(n):
        # its own brightest place next to the common one
        own, oi, oj = -np.inf, bi, bj
        for j in range(bj - 1, bj + 2):
            for i in range(bi - 1, bi + 2):
                if boxes[k, j, i] > own:
                    own, oi, oj = boxes[k, j, i], i, j
        seen[k] = own
        guess[0, k], guess[1, k] = _light_centre(
            patches[k], middle + oi - search - 1, middle + oj - search - 1, skies[k, 0]
        )


@compiled
def _light_centre(patch: NDArray[np.float32], x: int, y: int, sky: float) -> tuple[float, float]:
    """Centre of the 3 x 3 px about a pixel, never more than a pixel away from it."""
    s = sx = sy = 0.0
    for j in range(-1, 2):
        for i in range(-1, 2):
            value = max(float(patch[y + j, x + i]) - sky, 0.0)
            if math.isfinite(value):
                s += value
                sx += value * i
                sy += value * j
    if s <= 0.0:
        return float(x), float(y)
    return x + sx / s, y + sy / s
