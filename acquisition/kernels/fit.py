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
    SKY,
    STATUS,
    VAR_FLUX,
    VAR_X,
    VAR_Y,
    X,
    Y,
)
from .compiled import compiled, in_place, vectorised
from .half_flux import half_flux_diameter
from .patches import Patch, Patches
from .ring import RING, sky_around

Array = NDArray[np.float64]
Use = NDArray[np.uint8]

_SQRT_HALF = math.sqrt(0.5)
_PDF = 1.0 / math.sqrt(2.0 * math.pi)


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
    scratch = np.empty((side + 2 * RING) ** 2, np.float32)
    value, use = np.zeros(side * pitch), np.zeros(side * pitch, np.uint8)
    profiles, terms = np.zeros((2, scales.size, 3, pitch)), np.empty((9, side * pitch))
    small, growth = np.empty((4, 6, 6)), np.empty(2 * side)
    for k in range(len(x)):
        if math.isfinite(x[k]):
            row = table[k]
            row[:] = np.nan
            row[STATUS] = _fit_star(
                patches[k], x[k] - corner[k, 0], y[k] - corner[k, 1], fwhm_x, fwhm_y, weights, scales, free_width[k],
                adu_per_e, saturation, half, reach, skies[k], scratch, value, use, profiles, terms, small, growth, row,
            )  # fmt: skip
            row[X] += corner[k, 0]
            row[Y] += corner[k, 1]


@in_place
def _edge(t: float) -> tuple[float, float]:
    """Normal distribution: integral from 0 to t, and density. Abramowitz & Stegun 7.1.26, good to 1e-7."""
    bell = math.exp(-0.5 * t * t)
    u = 1.0 / (1.0 + 0.3275911 * abs(t) * _SQRT_HALF)
    tail = u * (0.254829592 + u * (-0.284496736 + u * (1.421413741 + u * (-1.453152027 + u * 1.061405429)))) * bell
    half = 0.5 - 0.5 * tail
    return (half if t >= 0.0 else -half), _PDF * bell


@in_place
def _profile(centre: float, first: int, n: int, fwhm: float, scales: Array, out: Array) -> None:
    """Pixel-integrated Gaussians along one axis: value, derivative by the centre, derivative by ln FWHM.

    ``out[k, 0..2, i]`` for Gaussian k and pixel ``first + i``.
    """
    for k in range(scales.size):
        inverse = 1.0 / (fwhm * scales[k])
        t = (first - 0.5 - centre) * inverse
        cdf, pdf = _edge(t)
        for i in range(n):
            t1 = t + inverse
            cdf1, pdf1 = _edge(t1)
            out[k, 0, i] = cdf1 - cdf
            out[k, 1, i] = (pdf - pdf1) * inverse
            out[k, 2, i] = t * pdf - t1 * pdf1
            t, cdf, pdf = t1, cdf1, pdf1
        out[k, :, n:] = 0.0


@in_place
def _solve(matrix: Array, right: Array, n: int, solution: Array) -> bool:
    """Solve the leading n by n symmetric positive definite system by Cholesky's method; destroys the matrix."""
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                matrix[i, i] = math.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    for i in range(n):
        total = right[i]
        for k in range(i):
            total -= matrix[i, k] * solution[k]
        solution[i] = total / matrix[i, i]
    for i in range(n - 1, -1, -1):
        total = solution[i]
        for k in range(i + 1, n):
            total -= matrix[k, i] * solution[k]
        solution[i] = total / matrix[i, i]
    return True


@vectorised
def _model_row(px: Array, py: Array, weights: Array, j: int, free_width: bool, terms: Array) -> None:
    """One row of the profile and its derivatives: by x, by y, value, (1), by ln of both widths."""
    nx = px.shape[2]
    start = j * nx
    dx, dy, p = terms[0, start : start + nx], terms[1, start : start + nx], terms[2, start : start + nx]
    one = terms[3, start : start + nx]
    lx, ly = terms[4, start : start + nx], terms[5, start : start + nx]
    for i in range(nx):
        dx[i] = dy[i] = p[i] = lx[i] = ly[i] = 0.0
        one[i] = 1.0
    for k in range(weights.size):
        a, da, la = px[k, 0], px[k, 1], px[k, 2]
        w = weights[k]
        b, db, lb = w * py[k, 0, j], w * py[k, 1, j], w * py[k, 2, j]
        for i in range(nx):
            p[i] += a[i] * b
            dx[i] += da[i] * b
            dy[i] += a[i] * db
        if free_width:
            for i in range(nx):
                lx[i] += la[i] * b
                ly[i] += a[i] * lb


@vectorised
def _weigh(
    value: Array,
    use: NDArray[np.uint8],
    terms: Array,
    flux: float,
    base: float,
    noise2: float,
    adu_per_e: float,
    clip: bool,
    weight: Array,
    residual: Array,
) -> tuple[int, float]:
    """Residuals and inverse variances (0 for pixels that are not used); the number used, and chi squared.

    What noise and even a wrong profile could not explain is left out: a defect, a cosmic hit, a neighbour's core.
    """
    p = terms[2]
    limit = 36.0 if clip else 1e30
    n, chi2 = 0, 0.0
    for i in range(p.size):
        variance = noise2 + adu_per_e * flux * p[i]
        r = value[i] - flux * p[i] - base
        model_error = 0.9 * flux * p[i]
        good = (use[i] != 0) & (r * r <= limit * variance + model_error * model_error)
        w = 1.0 / variance if good else 0.0
        weight[i], residual[i] = w, r if good else 0.0
        n += good
        chi2 += w * residual[i] * residual[i]
    return n, chi2


@vectorised
def _normal_equations(
    terms: Array, weight: Array, residual: Array, weighted: Array, flux: float, n_par: int, matrix: Array, rhs: Array
) -> None:
    """Lower triangle of the normal matrix, and the right side."""
    for m in range(n_par):
        a = terms[m]
        scale_m = 1.0 if m == 2 or m == 3 else flux
        total = 0.0
        for i in range(a.size):
            weighted[i] = a[i] * weight[i]
            total += weighted[i] * residual[i]
        rhs[m] = total * scale_m
        for q in range(m + 1):
            b = terms[q]
            total = 0.0
            for i in range(a.size):
                total += weighted[i] * b[i]
            matrix[m, q] = total * scale_m * (1.0 if q == 2 or q == 3 else flux)


@in_place
def _window_light(
    patch: Patch,
    left: int,
    top: int,
    nx: int,
    ny: int,
    cx: int,
    cy: int,
    sky: Array,
    saturation: float,
    value: Array,
    use: Use,
    out: Array,
) -> int:
    """Light above the sky in a window, and which pixels to use; returns how many."""
    pitch = value.size // ny
    peak, clipped, defects, n_good = -np.inf, 0, 0, 0
    for j in range(ny):
        v = top + j - cy
        for i in range(nx):
            u = left + i - cx
            raw = float(patch[top + j, left + i])
            good = math.isfinite(raw)
            if good:
                clipped += raw >= saturation
                if abs(u) <= 2 and abs(v) <= 2 and raw > peak:
                    peak = raw
                good = raw < saturation
            elif abs(u) <= 1 and abs(v) <= 1:
                defects += 1
            value[j * pitch + i] = raw - sky[0] - sky[1] * u - sky[2] * v if good else 0.0
            use[j * pitch + i] = good
            n_good += good
        for i in range(nx, pitch):
            use[j * pitch + i] = 0
    out[PEAK], out[CLIPPED], out[NOISE], out[DEFECTS] = peak, clipped, sky[3], defects
    return n_good


@vectorised
def _start(value: Array, use: Use, p: Array) -> tuple[float, float, bool]:
    """Flux and base of a linear fit of the profile where it is; whether there is one."""
    s1 = sp = spp = sv = svp = 0.0
    for i in range(value.size):
        w = 1.0 if use[i] != 0 else 0.0
        s1 += w
        sp += w * p[i]
        spp += w * p[i] * p[i]
        sv += w * value[i]
        svp += w * value[i] * p[i]
    determinant = s1 * spp - sp * sp
    if not determinant > 1e-12 * s1 or s1 < 12:
        return 0.0, 0.0, False
    return (s1 * svp - sp * sv) / determinant, (spp * sv - sp * svp) / determinant, True


@in_place
def _variances(keep: Array, n_par: int, matrix: Array, rhs: Array, step: Array, out: Array) -> bool:
    """Covariance of position, flux and base from their normal matrix; widths do not correlate with the position."""
    for m in range(3):
        for r in range(n_par):
            rhs[r] = 1.0 if r == m else 0.0
            for q in range(r + 1):
                matrix[r, q] = keep[r, q]
        if not _solve(matrix, rhs, n_par if m < 2 else 4, step):
            return False
        if m == 0:
            out[VAR_X], out[COV_XY] = step[0], step[1]
        elif m == 1:
            out[VAR_Y] = step[1]
        else:
            out[VAR_FLUX] = step[2]
    return True


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
    scratch: NDArray[np.float32],
    light: Array,
    usable: Use,
    profiles: Array,
    all_terms: Array,
    small: Array,
    growth: Array,
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
    value, use = light[: ny * pitch], usable[: ny * pitch]
    n_good = _window_light(patch, left, top, nx, ny, cx, cy, sky, saturation, value, use, out)
    px, py = profiles[0], profiles[1]
    terms, weight, residual = all_terms[:6, : ny * pitch], all_terms[6, : ny * pitch], all_terms[7, : ny * pitch]
    matrix, keep, rhs, step = small[0], small[1], small[2, 0], small[2, 1]
    x, y, flux, base = x0, y0, 0.0, 0.0
    n_par = 6 if free_width else 4
    chi2, n_used, last_move = 0.0, 0, 1e9
    for iteration in range(20):
        _profile(x, left, nx, fwhm_x, scales, px)
        _profile(y, top, ny, fwhm_y, scales, py)
        for j in range(ny):
            _model_row(px, py, weights, j, free_width, terms)
        if iteration == 0:
            flux, base, possible = _start(value, use, terms[2])
            if not possible:
                return SATURATED if out[CLIPPED] > 0 else BAD_PIXELS
            if not flux > 0.0:
                return NO_STAR
        n_used, chi2 = _weigh(value, use, terms, flux, base, noise2, adu_per_e, iteration >= 2, weight, residual)
        if n_used < n_par + 6:
            return BAD_PIXELS
        _normal_equations(terms, weight, residual, all_terms[8, : ny * pitch], flux, n_par, matrix, rhs)
        for m in range(n_par):
            for q in range(m + 1):
                keep[m, q] = matrix[m, q]
        if not _solve(matrix, rhs, n_par, step):
            return NO_STAR
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
        if abs(x - x0) > reach or abs(y - y0) > reach:
            return MOVED
        width_still = not free_width or abs(step[4]) + abs(step[5]) < 3e-3
        scale = math.sqrt(1.0 / keep[0, 0]) + math.sqrt(1.0 / keep[1, 1])
        if iteration >= 2 and width_still and move < max(1e-4, 0.005 * scale):
            break
    if not _variances(keep, n_par, matrix, rhs, step, out):
        return NO_STAR
    out[X], out[Y], out[FLUX], out[SKY] = x, y, flux, base + sky[0]
    out[FWHM_X], out[FWHM_Y] = fwhm_x, fwhm_y
    out[CHI2] = chi2 / (n_used - n_par)
    out[DEFECTS] += n_good - n_used
    out[HFD] = half_flux_diameter(value, use, nx, ny, base, x - left, y - top, growth)
    return OK
