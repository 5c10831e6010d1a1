"""The windowed centroid: where a star is, in less than a microsecond.

In: patches of a frame, first guesses. Out: one row of numbers a star, see `columns`.

SExtractor's XWIN_IMAGE (Bertin 2010) with a Gaussian window as wide as the star. Good to some 10 % of the Cramér-Rao
bound for stars of FWHM >= 2 px and SNR <= 100; `fit` reaches the bound everywhere.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .columns import (
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
    SKY,
    STATUS,
    VAR_FLUX,
    VAR_X,
    VAR_Y,
    X,
    Y,
)
from .compiled import compiled, vectorised
from .patches import Patch, Patches

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


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
    """Windowed centroids of many stars.

    Parameters
    ----------
    patches, corner : ndarray
        As of `patches.cut_patches`.
    x, y : ndarray of float64
        First guesses in the frame, within some pixels; a star whose guess is NaN is left as it is.
    sigma : float
        Of the window, px.
    adu_per_e : float
        For the shot noise in the stated errors.
    saturation : float
        Pixels at or above are counted as clipped, ADU.
    half : int
        2 half + 1 px are looked at.
    reach : float
        A centroid further than this from the first guess is not this star, px.
    skies : ndarray, shape [n, 4]
        Level, two unused, noise: the sky is the mean of the border, within 4 noises of this level.
    table : ndarray, shape [n, COLUMNS]
        Results, positions in the frame; NaN where there is none.
    """
    side = 2 * half + 1
    pitch = (side + 7) // 8 * 8  # rows are filled up with zeros: whole SIMD words
    value, grid = np.empty(side * pitch, np.float32), np.empty((3, side * pitch), np.float32)
    bells = np.zeros((2, pitch), np.float32)
    for j in range(side):
        for i in range(pitch):
            grid[0, j * pitch + i], grid[1, j * pitch + i] = i, j
    for k in range(len(x)):
        if math.isfinite(x[k]):
            row = table[k]
            row[:] = np.nan
            x0, y0 = x[k] - corner[k, 0], y[k] - corner[k, 1]
            row[STATUS] = _window_star(
                patches[k], x0, y0, sigma, adu_per_e, saturation, half, reach, skies[k], value, grid, bells, row
            )
            row[X] += corner[k, 0]
            row[Y] += corner[k, 1]


@vectorised
def _bell(centre: float, sigma: float, n: int, out: Floats) -> None:
    """exp(-(i - centre)² / 2 sigma²) for i = 0 to n - 1, to 1e-6: the 16th power of a Padé approximant."""
    c, scale = np.float32(centre), np.float32(1.0 / (32.0 * sigma * sigma))
    one, half, twelfth = np.float32(1.0), np.float32(0.5), np.float32(1.0 / 12.0)
    for i in range(n):
        d = np.float32(i) - c
        h = d * d * scale
        even, odd = one + h * h * twelfth, h * half
        r = (even - odd) / (even + odd)
        r = r * r
        r = r * r
        r = r * r
        out[i] = r * r
    for i in range(n, out.size):
        out[i] = np.float32(0.0)


@vectorised
def _border(value: Floats, n: int, level: float, noise: float) -> tuple[float, float]:
    """Mean and noise of a square's outermost pixels, those within 4 noises of a level; these if there are few."""
    s0 = s1 = s2 = np.float32(0.0)
    around, limit = np.float32(level), np.float32(4.0 * noise)
    for k in range(0, n, n - 1):
        for i in range(n):
            d = value[k, i] - around
            near = abs(d) < limit
            s0 += np.float32(1.0) if near else np.float32(0.0)
            s1 += d if near else np.float32(0.0)
            s2 += d * d if near else np.float32(0.0)
    for i in range(1, n - 1):
        for k in range(0, n, n - 1):
            d = value[i, k] - around
            if abs(d) < limit:
                s0 += np.float32(1.0)
                s1 += d
                s2 += d * d
    if not s0 > 2 * n:
        return level, noise
    n_used, mean = float(s0), float(s1 / s0)
    return level + mean, math.sqrt(max((float(s2) - n_used * mean * mean) / (n_used - 1.0), 0.01 * noise * noise))


@vectorised
def _weights(wx: Floats, wy: Floats, n: int, out: Floats) -> None:
    """Product of two bells over the window."""
    pitch = wx.size
    for j in range(n):
        row, w = out[j * pitch : (j + 1) * pitch], wy[j]
        for i in range(pitch):
            row[i] = w * wx[i]


@vectorised
def _moments(light: Floats, weight: Floats, column: Floats, row: Floats) -> tuple[float, float, float]:
    """Weighted sum of the light, and of the light times column and row."""
    s = sx = sy = np.float32(0.0)
    for i in range(light.size):
        v = light[i] * weight[i]
        s += v
        sx += v * column[i]
        sy += v * row[i]
    return float(s), float(sx), float(sy)


@vectorised
def _spread(
    light: Floats, weight: Floats, column: Floats, row: Floats, x: float, y: float, noise: float, adu_per_e: float
) -> tuple[float, float, float]:
    """Variance of the weighted sum of the light, and that of its moments about a place."""
    x0, y0, noise2, gain, none = (
        np.float32(x),
        np.float32(y),
        np.float32(noise * noise),
        np.float32(adu_per_e),
        np.float32(0.0),
    )
    vx = vy = vf = np.float32(0.0)
    for i in range(light.size):
        shot = light[i] if light[i] > none else none
        variance = weight[i] * weight[i] * (noise2 + gain * shot)
        u, v = column[i] - x0, row[i] - y0
        vx += variance * u * u
        vy += variance * v * v
        vf += variance
    return float(vx), float(vy), float(vf)


@vectorised
def _window_star(
    patch: Patch,
    x0: float,
    y0: float,
    sigma: float,
    adu_per_e: float,
    saturation: float,
    half: int,
    reach: float,
    sky: Array,
    value: Floats,
    grid: Floats,
    bells: Floats,
    out: Array,
) -> int:
    """One star; returns the status."""
    height, width = patch.shape
    cx, cy = math.floor(x0 + 0.5), math.floor(y0 + 0.5)
    half = min(half, min(min(cx, cy), min(width - 1 - cx, height - 1 - cy)))
    if half < 2:
        return NEAR_EDGE
    n, left, top, pitch = 2 * half + 1, cx - half, cy - half, bells.shape[1]
    peak, clipped, defects = -np.inf, 0, 0
    for j in range(cy - 2, cy + 3):
        for i in range(cx - 2, cx + 3):
            raw = float(patch[j, i])
            peak = raw if raw > peak else peak
            clipped += raw >= saturation
            defects += abs(i - cx) <= 1 and abs(j - cy) <= 1 and not math.isfinite(raw)
    window = patch[top : top + n, left : left + n]
    level, noise = _border(window, n, sky[0], max(sky[3], 1e-6))
    above, none = np.float32(level), np.float32(0.0)
    for j in range(n):
        row, source = value[j * pitch : (j + 1) * pitch], window[j]
        for i in range(n):
            v = source[i] - above
            row[i] = v if math.isfinite(v) else none
        for i in range(n, pitch):
            row[i] = none
    out[PEAK], out[CLIPPED], out[NOISE], out[SKY], out[DEFECTS] = peak, clipped, noise, level, defects
    light, weight = value[: n * pitch], grid[2, : n * pitch]
    column, line = grid[0, : n * pitch], grid[1, : n * pitch]
    wx, wy = bells[0], bells[1]
    x, y = x0 - left, y0 - top
    s, gain, last_x, last_y = 0.0, 2.0, 0.0, 0.0
    for _ in range(12):
        _bell(x, sigma, n, wx)
        _bell(y, sigma, n, wy)
        _weights(wx, wy, n, weight)
        s, sx, sy = _moments(light, weight, column, line)
        if not s > 0.0:
            return NO_STAR
        dx, dy = gain * (sx / s - x), gain * (sy / s - y)
        last2 = last_x * last_x + last_y * last_y
        if last2 > 1e-4:
            # twice the moment is right where star and window are equally wide; else the last steps say what is
            gain /= 1.0 - min(max((dx * last_x + dy * last_y) / last2, -0.9), 0.5)
            dx, dy = gain * (sx / s - x), gain * (sy / s - y)
        move = math.sqrt(dx * dx + dy * dy)
        shrink = min(1.0, (0.7 * sigma + 0.2) / max(move, 1e-9))
        last_x, last_y = shrink * dx, shrink * dy
        x += last_x
        y += last_y
        if abs(x + left - x0) > reach or abs(y + top - y0) > reach:
            return MOVED
        if move < 2e-3:
            break
    # errors as SExtractor's ERRX2WIN; the window takes half of a star as wide as itself
    vx, vy, vf = _spread(light, weight, column, line, x, y, noise, adu_per_e)
    out[X], out[Y] = x + left, y + top
    out[FLUX] = 2.0 * s
    scale = gain * gain / (s * s)
    out[VAR_X], out[VAR_Y], out[COV_XY] = scale * vx, scale * vy, 0.0
    out[VAR_FLUX] = 4.0 * vf
    fwhm = 2.35482 * sigma
    out[FWHM_X], out[FWHM_Y], out[HFD] = fwhm, fwhm, fwhm
    out[CHI2] = 1.0
    return OK
