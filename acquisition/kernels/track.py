"""Known stars, found again in small windows.

In: a frame, where its stars are expected, how bright they were. Out: one row of numbers a star (`columns`), and how
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

from .columns import COLUMNS, NEAR_EDGE, NO_STAR, STATUS
from .compiled import compiled, in_place, vectorised
from .fit import fit_stars
from .patches import Patches, cut_patches
from .psf import Psf
from .quantile import quantile
from .ring import RING
from .window import window_stars

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

_CAP = 12.0  # significance at which one star's vote counts in full


@dataclass(frozen=True, slots=True)
class Tracked:
    """Stars of one frame.

    Attributes
    ----------
    table : ndarray, shape [n, COLUMNS]
        See `columns`; positions in the frame.
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
        As for `fit.fit_stars`.
    window_sigma_px : float, optional
        Take windowed centroids with this sigma instead of fits.
    free_width_above : float
        Fit the widths of stars of at least this signal, too.
    """
    half = psf.half_window_px
    n, widest = len(x), max(psf.fwhm_x, psf.fwhm_y)
    ring = RING if window_sigma_px is None else 0
    patches, corner = cut_patches(frame, bad, x, y, half + ring + search_px + 2)
    guess, skies, table = np.empty((2, n)), np.zeros((n, 4)), np.full((n, COLUMNS), np.nan)
    seen, stands, shift = np.zeros(n), np.zeros(n, np.bool_), np.zeros(3)
    margin, reach = max(2.0, 0.6 * widest), 1.5 + 0.5 * widest
    _locate(
        patches, corner, signal, search_px, margin, frame.shape[0], frame.shape[1], skies, guess, seen, stands, table,
        shift,
    )  # fmt: skip
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
    dx, dy, agreement = shift.tolist()
    return Tracked(table, (int(dx), int(dy)), stands, seen, agreement)


@vectorised
def _light(patch: Floats, sky: float, out: Floats) -> None:
    """A patch above the sky, 0 where a pixel must not be used."""
    level, none = np.float32(sky), np.float32(0.0)
    for j in range(out.shape[0]):
        values, light = patch[j], out[j]
        for i in range(light.size):
            v = values[i] - level
            light[i] = v if math.isfinite(v) else none


@vectorised
def _boxes_without_peak(light: Floats, first: int, sums: Floats, peaks: Floats, out: Floats) -> None:
    """For each 3 x 3 px of a patch: sum less the brightest pixel, which is what a star has and a hot pixel has not.

    ``out[j, i]`` is the box whose first pixel is (first + i, first + j).
    """
    side = out.shape[0]
    for j in range(side + 2):
        row, total, peak = light[first + j], sums[j], peaks[j]
        for i in range(side):
            a, b, c = row[first + i], row[first + i + 1], row[first + i + 2]
            total[i] = a + b + c
            higher = a if a > b else b
            peak[i] = higher if higher > c else c
    for j in range(side):
        for i in range(side):
            a, b, c = peaks[j, i], peaks[j + 1, i], peaks[j + 2, i]
            higher = a if a > b else b
            out[j, i] = sums[j, i] + sums[j + 1, i] + sums[j + 2, i] - (higher if higher > c else c)


@vectorised
def _vote(boxes: Floats, unit: float, weight: float, votes: Floats) -> None:
    """One star's votes: the significance of each box, no more than the star's weight."""
    scale, most, none = np.float32(1.0 / unit), np.float32(weight), np.float32(0.0)
    for j in range(boxes.shape[0]):
        row, total = boxes[j], votes[j]
        for i in range(row.size):
            v = row[i] * scale
            row[i] = v
            v = v if v < most else most
            total[i] += v if v > none else none


@in_place
def border_sky(patch: Floats, scratch: Floats, sky: Array) -> None:
    """Level and noise of a patch's outermost pixels into ``sky``; level 0 and noise 0 without a usable one."""
    last = patch.shape[0] - 1
    n = 0
    for k in range(last):
        for value in (patch[0, k], patch[last, k + 1], patch[k + 1, 0], patch[k, last]):
            scratch[n] = value
            n += math.isfinite(value)
    sky[0] = sky[1] = sky[2] = sky[3] = 0.0
    if n > 0:
        sky[0] = quantile(scratch, n, 0.5)
        sky[3] = max(sky[0] - quantile(scratch, n, 0.158655), 0.2887)


@compiled
def _locate(
    patches: Patches,
    corner: NDArray[np.int64],
    signal: Array,
    search: int,
    margin: float,
    height: int,
    width: int,
    skies: Array,
    guess: Array,
    seen: Array,
    stands: NDArray[np.bool_],
    table: Array,
    shift: Array,
) -> None:
    """Common motion of the patches' stars by vote, and where each star's light then is: NaN where it does not show."""
    n, size = patches.shape[0], patches.shape[1]
    side = 2 * search + 3  # one more all around, for each star's own last pixel
    light, boxes = np.empty((n, size, size), np.float32), np.zeros((n, side, side), np.float32)
    sums, peaks = np.empty((side + 2, side), np.float32), np.empty((side + 2, side), np.float32)
    scratch, votes = np.empty(4 * size, np.float32), np.zeros((side, side), np.float32)
    possible = 0.0
    for k in range(n):
        border_sky(patches[k], scratch, skies[k])
        if skies[k, 3] > 0.0:
            weight = min(signal[k], _CAP)
            possible += weight
            _light(patches[k], skies[k, 0], light[k])
            _boxes_without_peak(light[k], size // 2 - search - 2, sums, peaks, boxes[k])
            _vote(boxes[k], math.sqrt(8.0) * skies[k, 3], weight, votes)
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
        x, y = size // 2 + oi - search - 1, size // 2 + oj - search - 1
        if skies[k, 3] > 0.0:
            x, y = _light_centre(light[k], x, y)
        x, y = x + corner[k, 0], y + corner[k, 1]
        inside = margin <= x <= width - 1 - margin and margin <= y <= height - 1 - margin
        stands[k] = inside and own > max(2.5, 0.1 * min(signal[k], 100.0))
        table[k, STATUS] = NO_STAR if inside else NEAR_EDGE
        guess[0, k], guess[1, k] = (x, y) if stands[k] else (np.nan, np.nan)


@in_place
def _light_centre(light: Floats, x: int, y: int) -> tuple[float, float]:
    """Centre of the 3 x 3 px about a pixel, never more than a pixel away from it."""
    s = sx = sy = 0.0
    for j in range(-1, 2):
        for i in range(-1, 2):
            value = max(float(light[y + j, x + i]), 0.0)
            s += value
            sx += value * i
            sy += value * j
    if s <= 0.0:
        return float(x), float(y)
    return x + sx / s, y + sy / s
