"""Finding the worm's period.

In: times and positions. Out: a period.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import vectorised

FloatArray = NDArray[np.float64]

_BIN_S = 6.0
_HARMONICS = 6
_TURNS = 1.3  # that a series must cover before a period is believed
_SHORTEST_S, _LONGEST_S = 120.0, 1200.0


def search_period(t_s: FloatArray, z: FloatArray, near_s: float | None = None) -> float | None:
    """The period whose first harmonics, with a parabola, explain a series best.

    Parameters
    ----------
    t_s, z : array (n,)
        Ascending times, and positions.
    near_s : float or None
        Only look within some percent of this one.

    Returns
    -------
    float or None
        None when the series is too short for any period, or for this one.
    """
    cells = ((t_s - t_s[0]) / _BIN_S).astype(np.int64)
    counts = np.bincount(cells)
    filled = counts > 0
    t = np.bincount(cells, t_s - t_s[0])[filled] / counts[filled]
    y = np.bincount(cells, z)[filled] / counts[filled]
    duration_s = float(t[-1] - t[0]) if len(t) else 0.0
    longest_s = min(duration_s / _TURNS, _LONGEST_S)
    step = 1 / (8 * duration_s) if duration_s > 0 else 1.0
    if near_s is not None and duration_s < 0.9 * near_s:
        return None
    if near_s is not None:
        frequencies = 1 / near_s + step * np.arange(-1, 1.01, 0.1)
        frequencies = frequencies[frequencies > 0.5 / duration_s]
        residuals = _residuals(t, y, frequencies)
        return 1 / frequency_of_lowest(frequencies, residuals)
    if longest_s < _SHORTEST_S * 1.05 or len(t) < 4 * _HARMONICS:
        return None
    frequencies = np.arange(1 / longest_s, 1 / _SHORTEST_S, step)
    residuals = _residuals(t, y, frequencies)
    best = frequencies[np.argmin(residuals)]
    lowest = residuals.min()
    for multiple in (3, 2):
        if multiple * best < 1 / _SHORTEST_S:
            close = multiple * best + step * np.arange(-1, 1.01, 0.25)
            others = _residuals(t, y, close)
            if others.min() < 1.25 * lowest:
                best = close[np.argmin(others)]
                break
    return search_period(t_s, z, 1 / best)


def frequency_of_lowest(frequencies: FloatArray, residuals: FloatArray) -> float:
    """Frequency of the lowest residual, of equally spaced ones, by a parabola through it and its neighbours."""
    i = int(np.argmin(residuals))
    if 0 < i < len(residuals) - 1:
        below, here, above = residuals[i - 1 : i + 2]
        curvature = below - 2 * here + above
        if curvature > 0:
            return float(frequencies[i] + 0.5 * (below - above) / curvature * (frequencies[i + 1] - frequencies[i]))
    return float(frequencies[i])


def _residuals(t: FloatArray, y: FloatArray, frequencies: FloatArray) -> FloatArray:
    """Sum of squares that each frequency's harmonics and a parabola leave."""
    m = 3 + 2 * _HARMONICS
    out = np.empty(len(frequencies))
    _residuals_into(t, y, frequencies, np.empty(m), np.empty((m, m)), np.empty(m), out)
    return out


@vectorised
def _residuals_into(
    t: FloatArray, y: FloatArray, frequencies: FloatArray, a: FloatArray, normal: FloatArray, right: FloatArray,
    out: FloatArray,
) -> None:  # fmt: skip
    n, m = len(t), len(a)
    total = 0.0
    for i in range(n):
        total += y[i] * y[i]
    s = t[-1]
    for f in range(len(frequencies)):
        for j in range(m):
            right[j] = 0.0
            for k in range(m):
                normal[j, k] = 0.0
        for i in range(n):
            u = 2 * t[i] / s - 1
            a[0], a[1], a[2] = 1.0, u, u * u
            c1, s1 = math.cos(2 * math.pi * frequencies[f] * t[i]), math.sin(2 * math.pi * frequencies[f] * t[i])
            c, d = 1.0, 0.0
            for k in range(_HARMONICS):
                c, d = c * c1 - d * s1, c * s1 + d * c1
                a[3 + 2 * k], a[4 + 2 * k] = c, d
            for j in range(m):
                right[j] += a[j] * y[i]
                for k in range(j + 1):
                    normal[j, k] += a[j] * a[k]
        explained = 0.0
        for j in range(m):  # Cholesky, and the forward solution, whose square is what is explained
            for k in range(j + 1):
                value = normal[j, k] + (1e-3 * n / 500 if j == k else 0.0)
                for q in range(k):
                    value -= normal[j, q] * normal[k, q]
                normal[j, k] = math.sqrt(max(value, 1e-12)) if j == k else value / normal[k, k]
            for k in range(j):
                right[j] -= normal[j, k] * right[k]
            right[j] /= normal[j, j]
            explained += right[j] * right[j]
        out[f] = max(total - explained, 1e-12)
