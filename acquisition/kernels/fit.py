"""The profile fit: where a star is, at the Cramér-Rao bound, and how sure that is.

In: patches of a frame, first guesses, the profile of the frame's stars. Out: one row of numbers a star, see `columns`.

Fits a pixel-integrated profile by Gauss-Newton, weighting each pixel with the variance that the model predicts there:
background noise plus shot noise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .columns import (
    BAD_PIXELS,
    CHI2,
    CLIPPED,
    COV_XY,
    DEFECTS,
    FLUX,
    FWHM_X,
    FWHM_Y,
    HFD,
    MOVED,
    NEAR_EDGE,
    NO_STAR,
    NOISE,
    OK,
    PEAK,
    SATURATED,
    SIGNAL,
    SKY,
    STATUS,
    VAR_FLUX,
    VAR_X,
    VAR_Y,
    X,
    Y,
)
from .compiled import compiled, in_place, vectorised
from .half_flux import CORE, half_flux_diameter
from .leastsquares import add_place, add_widths, factor, solve
from .patches import Patch, Patches
from .pixelprofile import integrate
from .quantile import room_for
from .ring import RING, sky_around

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Profiles = NDArray[np.float32]  # [Gaussian, value and derivatives, pixel]


@compiled
def fit_stars(
    patches: Patches,
    corner: NDArray[np.int64],
    x: Array,
    y: Array,
    fwhm_x: float,
    fwhm_y: float,
    weights: Array,
    scales: Array,
    free_width: NDArray[np.bool_],
    adu_per_e: float,
    saturation: float,
    half: int,
    reach: float,
    skies: Array,
    table: Array,
) -> None:
    """Fit position, flux and background of stars; the widths of some of them, too.

    Parameters
    ----------
    patches, corner : ndarray
        As of `patches.cut_patches`: the window and the ring about it, or more.
    x, y : ndarray of float64
        First guesses in the frame, within about a pixel; a star whose guess is NaN is left as it is.
    fwhm_x, fwhm_y, weights, scales
        The profile, see `psf.Psf`.
    free_width : ndarray of bool
        Fit FWHM along x and y of this star, starting from those given.
    adu_per_e : float
        For the shot noise; 0 leaves it out (an unweighted fit).
    saturation : float
        Pixels at or above are not used, ADU.
    half : int
        The window is 2 half + 1 px wide.
    reach : float
        A solution further than this from the first guess is not this star, px.
    skies : ndarray, shape [n, 4]
        Level, slopes, noise to take where the ring about the window has too few pixels; what was used on return.
    table : ndarray, shape [n, COLUMNS]
        Results, positions in the frame; NaN where there is none.
    """
    side, pitch = 2 * half + 1, (2 * half + 8) // 8 * 8  # rows are filled up: whole SIMD words
    scratch = np.empty((3, room_for((side + 2 * RING) ** 2)), np.float32)
    window, terms = np.zeros((4, side * pitch), np.float32), np.empty((5, side * pitch + CORE), np.float32)
    edges, profiles = np.empty((3, pitch + 8), np.float32), np.empty((2, scales.size, 3, pitch), np.float32)
    small = np.empty((8, 6))
    for k in range(len(x)):
        if math.isfinite(x[k]):
            row = table[k]
            row[:SIGNAL] = np.nan
            row[STATUS] = _fit_star(
                patches[k], x[k] - corner[k, 0], y[k] - corner[k, 1], fwhm_x, fwhm_y, weights, scales, free_width[k],
                adu_per_e, saturation, half, reach, skies[k], scratch, window, terms, edges, profiles, small, row,
            )  # fmt: skip
            row[X] += corner[k, 0]
            row[Y] += corner[k, 1]


@vectorised
def _product(along: Profiles, m: int, across: Profiles, q: int, weights: Array, out: Floats) -> None:
    """One term of the model over the window: sum over the Gaussians, 1 or 3, of column times row."""
    pitch = along.shape[2]
    for j in range(out.size // pitch):
        row, first, b = out[j * pitch : (j + 1) * pitch], along[0, m], np.float32(weights[0]) * across[0, q, j]
        if weights.size == 3:
            second, c = along[1, m], np.float32(weights[1]) * across[1, q, j]
            third, d = along[2, m], np.float32(weights[2]) * across[2, q, j]
            for i in range(pitch):
                row[i] = first[i] * b + second[i] * c + third[i] * d
        else:
            for i in range(pitch):
                row[i] = first[i] * b


@vectorised
def _weigh(
    value: Floats,
    use: Floats,
    profile: Floats,
    flux: float,
    base: float,
    noise2: float,
    adu_per_e: float,
    clip: bool,
    weight: Floats,
    pull: Floats,
) -> tuple[int, float]:
    """Inverse variances (0 for pixels that are not used), residuals times these; the number used, and chi squared.

    What noise and even a wrong profile could not explain is left out: a defect, a cosmic hit, a neighbour's core.
    """
    none, wrong = np.float32(0.0), np.float32(0.9)
    limit = np.float32(36.0) if clip else np.float32(1e20)
    total, level, sky, shot = np.float32(flux), np.float32(base), np.float32(noise2), np.float32(adu_per_e)
    n = chi2 = none
    for i in range(value.size):
        star = total * max(profile[i], none)
        variance = sky + shot * star
        r = value[i] - star - level
        unsure = wrong * star
        good = use[i] if r * r <= limit * variance + unsure * unsure else none
        w = good / variance
        weight[i], pull[i] = w, w * r
        n += good
        chi2 += w * r * r
    return int(n), float(chi2)


@vectorised
def _light(
    patch: Patch, left: int, top: int, nx: int, level: float, slope_x: float, slope_y: float, saturation: float,
    pitch: int, value: Floats, use: Floats,
) -> int:  # fmt: skip
    """Light of a window above a sloping sky, which pixels to use; returns how many are clipped."""
    most, step = np.float32(saturation), np.float32(slope_x)
    none, one, infinite = np.float32(0.0), np.float32(1.0), np.float32(np.inf)
    clipped = none
    for j in range(value.size // pitch):
        row, start = patch[top + j, left : left + nx], np.float32(level + slope_y * j)
        target, good = value[j * pitch : (j + 1) * pitch], use[j * pitch : (j + 1) * pitch]
        for i in range(row.size):
            v = row[i]
            finite = one if abs(v) < infinite else none
            usable = finite if v < most else none
            clipped += finite - usable
            above = v - start - step * np.float32(i)
            target[i] = above if usable > none else none
            good[i] = usable
        for i in range(nx, pitch):
            target[i] = good[i] = none
    return int(clipped)


@in_place
def _look_at(patch: Patch, x: int, y: int, out: Array) -> None:
    """Peak of the 5 x 5 px about a place, and how many of the inner 3 x 3 must not be used."""
    height, width = patch.shape
    peak, defects = -np.inf, 0
    for j in range(max(y - 2, 0), min(y + 3, height)):
        for i in range(max(x - 2, 0), min(x + 3, width)):
            raw = float(patch[j, i])
            if not math.isfinite(raw):
                defects += abs(i - x) <= 1 and abs(j - y) <= 1
            elif raw > peak:
                peak = raw
    out[PEAK], out[DEFECTS] = peak, defects


@vectorised
def _start(value: Floats, use: Floats, p: Floats) -> tuple[float, float, int]:
    """Flux and base of a linear fit of the profile where it is, and the number of pixels: 0 where there is no fit."""
    s1 = sp = spp = sv = svp = np.float32(0.0)
    for i in range(value.size):
        w = use[i]
        s1 += w
        sp += w * p[i]
        spp += w * p[i] * p[i]
        sv += value[i]
        svp += value[i] * p[i]
    n, pp, vp = float(s1), float(spp), float(svp)
    determinant = n * pp - float(sp) * float(sp)
    if not determinant > 1e-6 * n * pp or n < 12.0:
        return 0.0, 0.0, 0
    return (n * vp - float(sp) * float(sv)) / determinant, (pp * float(sv) - float(sp) * vp) / determinant, int(n)


@in_place
def _fit_star(
    patch: Patch,
    x0: float,
    y0: float,
    fwhm_x: float,
    fwhm_y: float,
    weights: Array,
    scales: Array,
    free_width: bool,
    adu_per_e: float,
    saturation: float,
    half: int,
    reach: float,
    sky: Array,
    scratch: Floats,
    window: Floats,
    terms: Floats,
    edges: Floats,
    profiles: Profiles,
    small: Array,
    out: Array,
) -> int:
    """One star; returns the status."""
    height, width = patch.shape
    if not (x0 > -0.5 and y0 > -0.5 and x0 < width - 0.5 and y0 < height - 0.5):
        return NEAR_EDGE
    cx, cy = math.floor(x0 + 0.5), math.floor(y0 + 0.5)
    sky_around(patch, cx, cy, half, sky, scratch)
    sky[3] = max(sky[3], 1e-6)
    noise2 = sky[3] * sky[3]
    left, right = max(0, cx - half), min(width - 1, cx + half)
    top, bottom = max(0, cy - half), min(height - 1, cy + half)
    nx, ny, pitch = right - left + 1, bottom - top + 1, profiles.shape[3]
    size = ny * pitch
    value, use, weight, pull = window[0, :size], window[1, :size], window[2, :size], window[3, :size]
    level = sky[0] + sky[1] * (left - cx) + sky[2] * (top - cy)
    out[CLIPPED] = _light(patch, left, top, nx, level, sky[1], sky[2], saturation, pitch, value, use)
    out[NOISE] = sky[3]
    _look_at(patch, cx, cy, out)
    px, py = profiles[0], profiles[1]
    matrix, right_side, step = small[:6], small[6], small[7]
    x, y, flux, base, n_good = x0 - left, y0 - top, 0.0, 0.0, 0
    n_par = 6 if free_width else 4
    chi2, n_used, last_move = 0.0, 0, 1e9
    for iteration in range(20):
        integrate(x, fwhm_x, scales, edges, px)
        integrate(y, fwhm_y, scales, edges, py)
        _product(px, 1, py, 0, weights, terms[0, :size])
        _product(px, 0, py, 1, weights, terms[1, :size])
        _product(px, 0, py, 0, weights, terms[2, :size])
        if iteration == 0:
            flux, base, n_good = _start(value, use, terms[2])
            if n_good == 0:
                return SATURATED if out[CLIPPED] > 0 else BAD_PIXELS
            if not flux > 0.0:
                return NO_STAR
        n_used, chi2 = _weigh(value, use, terms[2], flux, base, noise2, adu_per_e, iteration >= 2, weight, pull)
        if n_used < n_par + 6:
            return BAD_PIXELS
        add_place(terms, weight, pull, flux, matrix, right_side)
        if free_width:
            _product(px, 2, py, 0, weights, terms[3, :size])
            _product(px, 0, py, 2, weights, terms[4, :size])
            add_widths(terms, weight, pull, flux, matrix, right_side)
        still = 0.005 * (math.sqrt(1.0 / matrix[0, 0]) + math.sqrt(1.0 / matrix[1, 1]))
        if not factor(matrix, n_par):
            return NO_STAR
        solve(matrix, right_side, n_par, step)
        move = math.sqrt(step[0] * step[0] + step[1] * step[1])
        limit = 0.35 * min(fwhm_x, fwhm_y) + 0.1
        shrink = min(1.0, limit / max(move, 1e-12))
        if move > 0.7 * last_move and iteration > 5:
            shrink *= 0.5  # swinging about the minimum
        last_move = move
        x += shrink * step[0]
        y += shrink * step[1]
        flux = max(flux + shrink * step[2], 0.2 * flux)
        base += shrink * step[3]
        if free_width:
            fwhm_x *= math.exp(min(max(shrink * step[4], -0.3), 0.3))
            fwhm_y *= math.exp(min(max(shrink * step[5], -0.3), 0.3))
            fwhm_x, fwhm_y = min(max(fwhm_x, 0.3), 2.0 * half), min(max(fwhm_y, 0.3), 2.0 * half)
        if abs(x + left - x0) > reach or abs(y + top - y0) > reach:
            return MOVED
        width_still = not free_width or abs(step[4]) + abs(step[5]) < 3e-3
        if iteration >= 2 and width_still and move < max(1e-4, still):
            break
    # covariance of position and flux; widths do not correlate with the position
    for m in range(3):
        right_side[:] = 0.0
        right_side[m] = 1.0
        solve(matrix, right_side, n_par if m < 2 else 4, step)
        if m == 0:
            out[VAR_X], out[COV_XY] = step[0], step[1]
        elif m == 1:
            out[VAR_Y] = step[1]
        else:
            out[VAR_FLUX] = step[2]
    out[X], out[Y], out[FLUX], out[SKY] = x + left, y + top, flux, base + sky[0]
    out[FWHM_X], out[FWHM_Y] = fwhm_x, fwhm_y
    out[CHI2] = chi2 / (n_used - n_par)
    out[DEFECTS] += n_good - n_used
    out[HFD] = half_flux_diameter(value, use, nx, ny, base, x, y, terms)
    return OK
