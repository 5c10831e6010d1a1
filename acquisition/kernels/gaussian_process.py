"""Gaussian process of PHD2's predictive PEC: a long-range, a periodic and a short-range part on a linear trend.

In: times, accumulated gear error and variances. Out: predictions of the two predictable parts. Formulas: Klenske et
al., "Gaussian Process-Based Predictive Control for Periodic Error Correction", IEEE TCST 24 (2016) 110; arithmetic as
PHD2's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled

FloatArray = NDArray[np.float64]

GRID_S = 5.0
_LARGEST_GRID = 2048
_FFT_LENGTH = 4096
_LONGEST_PERIOD_S = 1500.0


class Hyperparameters(NamedTuple):
    """Length scales in s and amplitudes in the data's unit (PHD2 calls them variances, and squares them).

    `periodic_length` is relative: 4 sin(π length / period).
    """

    long_length_s: float
    long_amplitude: float
    periodic_length: float
    periodic_amplitude: float
    short_length_s: float
    short_amplitude: float
    period_s: float


@compiled
def regularise(t_s: FloatArray, values: FloatArray, variances: FloatArray, out: FloatArray) -> int:
    """Trapezoid means over a grid of 5 s, from time 0.

    Parameters
    ----------
    t_s, values, variances : array (n,)
        Ascending times.
    out : array (3, room)
        Gets cell centres, means, mean variances.

    Returns
    -------
    int
        Cells filled; -1 when there was not enough room.
    """
    cell_end, last_t, last_value, last_variance = 0.0, -GRID_S, 0.0, 0.0
    value_sum = variance_sum = 0.0
    cells = 0
    for i in range(len(t_s)):
        t, value, variance = t_s[i], values[i], variances[i]
        if t < cell_end:
            value_sum += (t - last_t) * 0.5 * (last_value + value)
            variance_sum += (t - last_t) * 0.5 * (last_variance + variance)
            last_t = t
            continue
        while t >= cell_end:
            if cells >= out.shape[1]:
                return -1
            share = (cell_end - last_t) / (t - last_t)
            between = share * value + (1 - share) * last_value
            between_variance = share * variance + (1 - share) * last_variance
            value_sum += (cell_end - last_t) * 0.5 * (last_value + between)
            variance_sum += (cell_end - last_t) * 0.5 * (last_variance + between_variance)
            out[0, cells] = cell_end - 0.5 * GRID_S
            out[1, cells] = value_sum / GRID_S
            out[2, cells] = variance_sum / GRID_S
            last_t, last_value, last_variance = cell_end, between, between_variance
            cell_end += GRID_S
            value_sum = variance_sum = 0.0
            cells += 1
    return min(cells, _LARGEST_GRID)


@compiled
def _covariance(distance_s: float, h: Hyperparameters, short: bool) -> float:
    slow = distance_s / h.long_length_s
    wave = math.sin(math.pi * distance_s / h.period_s) / h.periodic_length
    total: float = h.long_amplitude**2 * math.exp(-0.5 * slow * slow) + h.periodic_amplitude**2 * math.exp(
        -2 * wave * wave
    )
    if short:
        fast = distance_s / h.short_length_s
        total += h.short_amplitude**2 * math.exp(-0.5 * fast * fast)
    return total


@compiled
def _solve(gram: FloatArray, right: FloatArray) -> None:
    """Solve for a positive definite matrix by Cholesky, in place; small, so threads of a BLAS would only hinder."""
    n = len(gram)
    for i in range(n):
        for j in range(i + 1):
            total = gram[i, j]
            for k in range(j):
                total -= gram[i, k] * gram[j, k]
            gram[i, j] = math.sqrt(total) if i == j else total / gram[j, j]
    for column in range(right.shape[1]):
        for i in range(n):
            for k in range(i):
                right[i, column] -= gram[i, k] * right[k, column]
            right[i, column] /= gram[i, i]
        for i in range(n - 1, -1, -1):
            for k in range(i + 1, n):
                right[i, column] -= gram[k, i] * right[k, column]
            right[i, column] /= gram[i, i]


@compiled
def predict_change(
    t_s: FloatArray, values: FloatArray, variances: FloatArray, h: Hyperparameters, points: int,
    best_at_s: float, from_s: float, to_s: float,
) -> float:  # fmt: skip
    """How much the predictable part changes from one time to another.

    Parameters
    ----------
    t_s, values, variances : array (n,)
    h : Hyperparameters
    points : int
        How many of the data are used: those with the largest prior covariance with `best_at_s`.
    best_at_s, from_s, to_s : float
    """
    n = len(t_s)
    chosen = np.arange(n)
    if n > points:
        prior = np.empty(n)
        for i in range(n):
            prior[i] = -_covariance(abs(t_s[i] - best_at_s), h, True)
        chosen = np.argsort(prior)[:points]
        n = points
    gram = np.empty((n, n))
    known = np.empty((n, 3))
    for i in range(n):
        t = t_s[chosen[i]]
        known[i, 0], known[i, 1], known[i, 2] = 1.0, t, values[chosen[i]]
        for j in range(i):
            gram[i, j] = gram[j, i] = _covariance(abs(t - t_s[chosen[j]]), h, True)
        gram[i, i] = _covariance(0.0, h, True) + variances[chosen[i]]
    solved = known.copy()
    _solve(gram, solved)
    a = b = c = d = e = 0.0
    for i in range(n):
        a += solved[i, 0]
        b += solved[i, 1]
        c += known[i, 1] * solved[i, 1]
        d += solved[i, 2]
        e += known[i, 1] * solved[i, 2]
    offset, slope = (c * d - b * e) / (a * c - b * b), (a * e - b * d) / (a * c - b * b)
    difference, difference_1, difference_t = 0.0, 0.0, to_s - from_s
    for i in range(n):
        t = t_s[chosen[i]]
        mixed = _covariance(abs(to_s - t), h, False) - _covariance(abs(from_s - t), h, False)
        difference += mixed * solved[i, 2]
        difference_1 -= mixed * solved[i, 0]
        difference_t -= mixed * solved[i, 1]
    change: float = difference + difference_1 * offset + difference_t * slope
    return change


def estimate_period(t_s: FloatArray, values: FloatArray) -> float:
    """Period of the strongest line of evenly spaced data, s: linear trend off, Hamming window, FFT, parabola.

    Periods above 1500 s are not considered.
    """
    features = np.stack([np.ones_like(t_s), t_s])
    trend = np.linalg.solve(features @ features.T + 1e-3 * np.eye(2), features @ values)
    n = len(values)
    windowed = (values - trend @ features) * (0.54 - 0.46 * np.cos(2 * np.pi * np.linspace(0, 1, n)))
    lowest = math.ceil(_FFT_LENGTH / n)
    power = np.abs(np.fft.rfft(windowed, _FFT_LENGTH)[lowest:]) ** 2
    frequency = np.arange(lowest, _FFT_LENGTH // 2 + 1) / _FFT_LENGTH / ((t_s[-1] - t_s[0]) / (n - 1))
    power[1 / frequency > _LONGEST_PERIOD_S] = 0
    peak = int(np.argmax(power))
    best: float = frequency[peak]
    if 0 < peak < len(power) - 1:
        below, above = power[peak - 1] / power[peak], power[peak + 1] / power[peak]
        if max(below, above, 1) - min(below, above, 1) >= 1e-10:
            best += 0.5 * (above - below) / (2 - above - below) * (frequency[peak + 1] - frequency[peak])
    return 1 / best
