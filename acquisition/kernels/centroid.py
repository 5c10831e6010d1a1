"""Where a star is, to a fraction of a pixel, and how sure that is.

In: a patch of a frame (float32, NaN where a pixel must not be used), a first guess, the profile of the frame's stars.
Out: one row of numbers a star (the columns are named below), among them position, flux and their variances.

Patches are what keeps these kernels small: whatever the frame's type and mask, they are compiled once.

`fit_star` (precise) fits a pixel-integrated profile by Gauss-Newton, weighting each pixel with the variance that the
model predicts there: background noise plus shot noise. It reaches the Cramér-Rao bound. `window_star` (fast) is
SExtractor's windowed centroid (Bertin 2010, XWIN_IMAGE) with a window as wide as the star.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .background import quantile
from .compiled import compiled, vectorised

Array = NDArray[np.float64]
Patch = NDArray[np.float32]
Patches = NDArray[np.float32]  # [star, y, x]

# columns of a row of results
X, Y, FLUX, SKY, VAR_X, VAR_Y, COV_XY, VAR_FLUX, FWHM_X, FWHM_Y = range(10)
CHI2, PEAK, HFD, CLIPPED, NOISE, STATUS, DEFECTS = range(10, 17)
COLUMNS = 17

# values of STATUS
OK, NEAR_EDGE, NO_STAR, MOVED, BAD_PIXELS, SATURATED = range(6)

_SQRT_HALF = math.sqrt(0.5)
_PDF = 1.0 / math.sqrt(2.0 * math.pi)
RING = 3  # px, thickness of the ring about the window in which the sky is measured


@compiled
def cut(frame: NDArray[Any], bad: NDArray[np.uint8], left: int, top: int, patch: Patch) -> None:
    """Copy the part of a frame whose first pixel is (left, top) into a patch: NaN beyond the edges and where masked."""
    height, width = frame.shape
    masked = bad.size > 0
    ny, nx = patch.shape
    for j in range(ny):
        y = top + j
        for i in range(nx):
            x = left + i
            inside = y >= 0 and y < height and x >= 0 and x < width
            if inside and not (masked and bad[y, x] != 0):
                patch[j, i] = frame[y, x]
            else:
                patch[j, i] = np.nan


def cut_patches(
    frame: NDArray[Any], bad: NDArray[np.uint8], x: Array, y: Array, reach: int
) -> tuple[Patches, NDArray[np.int64]]:
    """Patches about places of a frame, and the first pixel (x, y) of each.

    Parameters
    ----------
    frame, bad : ndarray
        As for `background.measure_background`.
    x, y : ndarray of float64
        Places, 0-based px; may lie outside the frame.
    reach : int
        A patch is 2 reach + 1 px wide.
    """
    patches = np.empty((len(x), 2 * reach + 1, 2 * reach + 1), np.float32)
    corner = np.empty((len(x), 2), np.int64)
    _cut_all(frame, bad, np.ascontiguousarray(x), np.ascontiguousarray(y), patches, corner)
    return patches, corner


@compiled
def _cut_all(
    frame: NDArray[Any], bad: NDArray[np.uint8], x: Array, y: Array, patches: Patches, corner: NDArray[np.int64]
) -> None:
    reach = patches.shape[1] // 2
    for k in range(len(x)):
        corner[k, 0] = math.floor(x[k] + 0.5) - reach
        corner[k, 1] = math.floor(y[k] + 0.5) - reach
        cut(frame, bad, corner[k, 0], corner[k, 1], patches[k])


@compiled
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


@compiled
def _edge(t: float) -> tuple[float, float]:
    """Normal distribution: integral from 0 to t, and density. Abramowitz & Stegun 7.1.26, good to 1e-7."""
    bell = math.exp(-0.5 * t * t)
    u = 1.0 / (1.0 + 0.3275911 * abs(t) * _SQRT_HALF)
    tail = u * (0.254829592 + u * (-0.284496736 + u * (1.421413741 + u * (-1.453152027 + u * 1.061405429)))) * bell
    half = 0.5 - 0.5 * tail
    return (half if t >= 0.0 else -half), _PDF * bell


@compiled
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


@compiled
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
def _model_row(px: Array, py: Array, weights: Array, j: int, nx: int, free_width: bool, terms: Array) -> None:
    """One row of the profile and its derivatives: by x, by y, value, (1), by ln of both widths."""
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
    p, values, usable = terms[2], value.ravel(), use.ravel()
    limit = 36.0 if clip else 1e30
    n, chi2 = 0, 0.0
    for i in range(p.size):
        variance = noise2 + adu_per_e * flux * p[i]
        r = values[i] - flux * p[i] - base
        model_error = 0.9 * flux * p[i]
        good = (usable[i] != 0) & (r * r <= limit * variance + model_error * model_error)
        w = 1.0 / variance if good else 0.0
        weight[i], residual[i] = w, r if good else 0.0
        n += good
        chi2 += w * residual[i] * residual[i]
    return n, chi2


@vectorised
def _normal_equations(
    terms: Array, weight: Array, residual: Array, flux: float, n_par: int, matrix: Array, rhs: Array
) -> None:
    """Lower triangle of the normal matrix, and the right side."""
    for m in range(n_par):
        a = terms[m]
        scale_m = 1.0 if m == 2 or m == 3 else flux
        total = 0.0
        for i in range(a.size):
            total += a[i] * weight[i] * residual[i]
        rhs[m] = total * scale_m
        for q in range(m + 1):
            b = terms[q]
            total = 0.0
            for i in range(a.size):
                total += a[i] * b[i] * weight[i]
            matrix[m, q] = total * scale_m * (1.0 if q == 2 or q == 3 else flux)


@compiled
def fit_star(
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
    out: Array,
) -> int:
    """Fit position, flux and background of one star; its widths too, if asked.

    Parameters
    ----------
    patch : ndarray of float32, [y, x]
        The window and the ring about it, or more; see `cut`.
    x0, y0 : float
        First guess, within about a pixel, in the patch (0-based).
    fwhm_x, fwhm_y, weights, scales
        The profile, see `psf.Psf`.
    free_width : bool
        Fit FWHM along x and y, starting from those given.
    adu_per_e : float
        For the shot noise; 0 leaves it out (an unweighted fit).
    saturation : float
        Pixels at or above are not used, ADU.
    half : int
        The window is 2 half + 1 px wide.
    reach : float
        A solution further than this from the first guess is not this star, px.
    sky : ndarray of 4
        Level, slopes, noise to take where the ring about the window has too few pixels; what was used on return.
    out : ndarray of `COLUMNS`
        Results, positions in the patch; NaN where there is none.

    Returns
    -------
    int
        The status, as in ``out[STATUS]``.
    """
    height, width = patch.shape
    for m in range(COLUMNS):
        out[m] = np.nan
    out[STATUS] = NO_STAR
    if not (x0 > -0.5 and y0 > -0.5 and x0 < width - 0.5 and y0 < height - 0.5):
        out[STATUS] = NEAR_EDGE
        return NEAR_EDGE
    cx, cy = math.floor(x0 + 0.5), math.floor(y0 + 0.5)
    scratch = np.empty((2 * (half + RING) + 1) ** 2, np.float32)
    sky_around(patch, cx, cy, half, sky, scratch)
    noise2 = max(sky[3] * sky[3], 1e-12)
    left, right = max(0, cx - half), min(width - 1, cx + half)
    top, bottom = max(0, cy - half), min(height - 1, cy + half)
    nx, ny = right - left + 1, bottom - top + 1
    value = np.empty((ny, nx))
    use = np.empty((ny, nx), np.uint8)
    peak, clipped, defects, n_good = -np.inf, 0, 0, 0
    for j in range(ny):
        for i in range(nx):
            raw = float(patch[top + j, left + i])
            good = math.isfinite(raw)
            if good:
                if raw >= saturation:
                    clipped += 1
                near = abs(left + i - cx) <= 2 and abs(top + j - cy) <= 2
                if near and raw > peak:
                    peak = raw
                value[j, i] = raw - sky[0] - sky[1] * (left + i - cx) - sky[2] * (top + j - cy)
                good = raw < saturation
            elif abs(left + i - cx) <= 1 and abs(top + j - cy) <= 1:
                defects += 1
            use[j, i] = good
            n_good += good
    out[PEAK], out[CLIPPED], out[NOISE], out[DEFECTS] = peak, clipped, math.sqrt(noise2), defects

    k_max = scales.size
    px, py = np.empty((k_max, 3, nx)), np.empty((k_max, 3, ny))
    matrix, rhs, step = np.empty((6, 6)), np.empty(6), np.empty(6)
    keep = np.empty((6, 6))
    terms, weight, residual = np.zeros((6, nx * ny)), np.zeros(nx * ny), np.zeros(nx * ny)
    x, y, flux, base = x0, y0, 0.0, 0.0
    n_par = 6 if free_width else 4
    started = False
    chi2, n_used, rejected = 0.0, 0, 0
    last_move = 1e9
    for iteration in range(20):
        _profile(x, left, nx, fwhm_x, scales, px)
        _profile(y, top, ny, fwhm_y, scales, py)
        if not started:
            # flux and base of a linear fit at the first guess
            s1 = sp = spp = sv = svp = 0.0
            for j in range(ny):
                for i in range(nx):
                    if use[j, i] != 0:
                        p = 0.0
                        for k in range(k_max):
                            p += weights[k] * px[k, 0, i] * py[k, 0, j]
                        s1 += 1.0
                        sp += p
                        spp += p * p
                        sv += value[j, i]
                        svp += value[j, i] * p
            determinant = s1 * spp - sp * sp
            if not determinant > 1e-12 * s1 or s1 < 12:
                out[STATUS] = SATURATED if clipped > 0 else BAD_PIXELS
                return int(out[STATUS])
            flux = (s1 * svp - sp * sv) / determinant
            base = (spp * sv - sp * svp) / determinant
            started = True
            if not flux > 0.0:
                return NO_STAR
        for j in range(ny):
            _model_row(px, py, weights, j, nx, free_width, terms)
        n_used, chi2 = _weigh(value, use, terms, flux, base, noise2, adu_per_e, iteration >= 2, weight, residual)
        rejected = n_good - n_used
        _normal_equations(terms, weight, residual, flux, n_par, matrix, rhs)
        if n_used < n_par + 6:
            out[STATUS] = BAD_PIXELS
            return BAD_PIXELS
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
            out[STATUS] = MOVED
            return MOVED
        width_still = not free_width or abs(step[4]) + abs(step[5]) < 3e-3
        scale = math.sqrt(1.0 / keep[0, 0]) + math.sqrt(1.0 / keep[1, 1])
        if iteration >= 2 and width_still and move < max(1e-4, 0.005 * scale):
            break
    # covariance of position, flux and base; widths do not correlate with the position
    out[X], out[Y], out[FLUX], out[SKY] = x, y, flux, base + sky[0]
    out[FWHM_X], out[FWHM_Y] = fwhm_x, fwhm_y
    for m in range(3):
        for r in range(n_par):
            rhs[r] = 1.0 if r == m else 0.0
            for q in range(r + 1):
                matrix[r, q] = keep[r, q]
        if not _solve(matrix, rhs, n_par if m < 2 else 4, step):
            return NO_STAR
        if m == 0:
            out[VAR_X], out[COV_XY] = step[0], step[1]
        elif m == 1:
            out[VAR_Y] = step[1]
        else:
            out[VAR_FLUX] = step[2]
    out[CHI2] = chi2 / (n_used - n_par)
    out[DEFECTS] = defects + rejected
    out[HFD] = half_flux_diameter(value, use, base, x - left, y - top, flux)
    out[STATUS] = OK
    return OK


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
    """`fit_star` for many; places are those in the frame. A star whose first guess is NaN is left as it is."""
    for k in range(len(x)):
        if math.isfinite(x[k]):
            fit_star(
                patches[k], x[k] - corner[k, 0], y[k] - corner[k, 1], fwhm_x, fwhm_y, weights, scales, free_width[k],
                adu_per_e, saturation, half, reach, skies[k], table[k],
            )  # fmt: skip
            table[k, X] += corner[k, 0]
            table[k, Y] += corner[k, 1]


@compiled
def half_flux_diameter(value: Array, use: NDArray[np.uint8], base: float, x: float, y: float, flux: float) -> float:
    """Diameter about (x, y) that holds half of the window's flux, px; 0 when there is none.

    Half-pixel steps of radius; near the centre each pixel is split in 3 x 3, so that narrow stars come out right.
    """
    ny, nx = value.shape
    steps = 2 * max(nx, ny)
    growth = np.zeros(steps)
    limit = min(min(x, nx - 1 - x), min(y, ny - 1 - y)) + 0.5
    for j in range(ny):
        for i in range(nx):
            if use[j, i] != 0:
                amount = (value[j, i] - base) / 9.0
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


@vectorised
def window_star(
    patch: Patch,
    x0: float,
    y0: float,
    sigma: float,
    adu_per_e: float,
    saturation: float,
    half: int,
    reach: float,
    sky: Array,
    out: Array,
) -> int:
    """Windowed centroid of one star; about a microsecond. Parameters as for `fit_star`, sigma of the window in px.

    The sky is the mean of the window's border, kept to within 3 noises of the level given in ``sky``.
    """
    height, width = patch.shape
    for m in range(COLUMNS):
        out[m] = np.nan
    out[STATUS] = NO_STAR
    cx, cy = math.floor(x0 + 0.5), math.floor(y0 + 0.5)
    if cx - half < 0 or cy - half < 0 or cx + half >= width or cy + half >= height:
        half = min(min(cx, cy), min(width - 1 - cx, height - 1 - cy))
        if half < 2:
            out[STATUS] = NEAR_EDGE
            return NEAR_EDGE
    n = 2 * half + 1
    left, top = cx - half, cy - half
    value = np.empty((n, n), np.float32)
    peak, clipped, defects = -np.inf, 0, 0
    for j in range(n):
        for i in range(n):
            value[j, i] = patch[top + j, left + i]
    for j in range(max(0, half - 2), min(n, half + 3)):
        for i in range(max(0, half - 2), min(n, half + 3)):
            if value[j, i] > peak:
                peak = float(value[j, i])
            clipped += value[j, i] >= saturation
    # border: clipped mean and variance
    s0 = s1 = s2 = 0.0
    level, noise = sky[0], max(sky[3], 1e-6)
    for i in range(n):
        for value_i in (value[0, i], value[n - 1, i], value[i, 0], value[i, n - 1]):
            d = value_i - level
            if abs(d) < 4.0 * noise:
                s0 += 1.0
                s1 += d
                s2 += d * d
    if s0 > 2 * n:
        level += s1 / s0
        noise = math.sqrt(max((s2 - s1 * s1 / s0) / (s0 - 1.0), 0.01 * noise * noise))
    for j in range(n):
        for i in range(n):
            v = value[j, i] - np.float32(level)
            if not math.isfinite(v):
                v = np.float32(0.0)
                defects += abs(i - half) <= 1 and abs(j - half) <= 1
            value[j, i] = v
    out[PEAK], out[CLIPPED], out[NOISE], out[SKY], out[DEFECTS] = peak, clipped, noise, level, defects
    wx, wy = np.empty(n, np.float32), np.empty(n, np.float32)
    x, y = x0 - left, y0 - top
    s = sx = sy = 0.0
    exponent = -0.5 / (sigma * sigma)
    for _ in range(12):
        for i in range(n):
            wx[i] = math.exp(exponent * (i - x) ** 2)
            wy[i] = math.exp(exponent * (i - y) ** 2)
        s = sx = sy = 0.0
        for j in range(n):
            row = row_x = np.float32(0.0)
            for i in range(n):
                d = value[j, i] * wx[i]
                row += d
                row_x += d * np.float32(i)
            s += wy[j] * row
            sx += wy[j] * row_x
            sy += wy[j] * row * j
        if not s > 0.0:
            return NO_STAR
        dx, dy = 2.0 * (sx / s - x), 2.0 * (sy / s - y)
        move = math.sqrt(dx * dx + dy * dy)
        shrink = min(1.0, (0.7 * sigma + 0.2) / max(move, 1e-9))
        x += shrink * dx
        y += shrink * dy
        if abs(x + left - x0) > reach or abs(y + top - y0) > reach:
            out[STATUS] = MOVED
            return MOVED
        if move < 2e-3:
            break
    # the window takes half of a star as wide as itself (Gaussian); errors as SExtractor's ERRX2WIN
    noise2 = noise * noise
    vx = vy = vf = weight2 = 0.0
    for j in range(n):
        for i in range(n):
            w2 = wx[i] * wx[i] * wy[j] * wy[j]
            variance = w2 * (noise2 + adu_per_e * max(value[j, i], np.float32(0.0)))
            vx += variance * (i - x) ** 2
            vy += variance * (j - y) ** 2
            vf += variance
            weight2 += w2
    out[X], out[Y] = x + left, y + top
    out[FLUX] = 2.0 * s
    out[VAR_X], out[VAR_Y], out[COV_XY] = 4.0 * vx / (s * s), 4.0 * vy / (s * s), 0.0
    out[VAR_FLUX] = 4.0 * vf
    fwhm = 2.35482 * sigma
    out[FWHM_X], out[FWHM_Y], out[HFD] = fwhm, fwhm, fwhm
    out[CHI2] = 1.0
    out[STATUS] = OK
    return OK


@compiled
def window_stars(
    patches: Patches,
    corner: NDArray[np.int64],
    x: Array,
    y: Array,
    sigma: float,
    adu_per_e: float,
    saturation: float,
    half: int,
    reach: float,
    skies: Array,
    table: Array,
) -> None:
    """`window_star` for many, as `fit_stars`."""
    for k in range(len(x)):
        if math.isfinite(x[k]):
            window_star(
                patches[k], x[k] - corner[k, 0], y[k] - corner[k, 1], sigma, adu_per_e, saturation, half, reach,
                skies[k], table[k],
            )  # fmt: skip
            table[k, X] += corner[k, 0]
            table[k, Y] += corner[k, 1]
