"""Filters that follow two axes and learn how much of each leaks into the other.

In: a bank and a measurement. Out: the bank changed in place, and the leaks with their variances.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled

FloatArray = NDArray[np.float64]

FILTER = 13
"""Numbers of a filter: position, velocity, leak; their covariances, row by row; score."""
_CHANGE_PER_S = 1e-6  # variance by which a leak may change
_OUTLIER = 3.5
_NOISE_SHAPE, _NOISE_SCALE = 6.0, 0.3


def new_filters(positions: tuple[float, float], hypotheses: int) -> tuple[FloatArray, FloatArray]:
    """Filters before their first measurement (axes, hypotheses, FILTER), and the noise as `follow` takes it."""
    filters = np.zeros((2, hypotheses, FILTER))
    filters[:, :, 0] = np.array(positions)[:, None]
    filters[:, :, 3:12:4] = 25.0, 0.05**2, 0.5**2
    return filters, np.array([_NOISE_SHAPE, _NOISE_SCALE, _NOISE_SCALE])


@compiled
def follow(
    filters: FloatArray, noise: FloatArray, walks: FloatArray, memory: float, dt_s: float,
    positions: tuple[float, float], others: tuple[float, float], pulses: tuple[float, float],
) -> tuple[float, float, float, float]:  # fmt: skip
    """Advance all filters by `dt_s` and give them a measurement; outliers count less.

    Parameters
    ----------
    filters : array (2, n, FILTER)
    noise : array (3,)
        Shape and, for each axis, scale of the measurement variance: it is scale/shape.
    walks : array (n, 3)
        Process noise of position (1/s) and velocity (1/s³), in units of the measurement's variance, and that of
        position for a pulse of 1.
    memory : float
        Measurements that scores and noise remember.
    positions : (float, float)
        Measured.
    others : (float, float)
        What may leak: the other axis.
    pulses : (float, float)
        Squares of the pulses sent since the last measurement.

    Returns
    -------
    (float, float, float, float)
        Each axis' leak, the mean over its filters, and its variance.
    """
    n, keep = filters.shape[1], 1 - 1 / memory
    leaks, ph = np.empty((2, 2)), np.empty(3)
    for axis in range(2):
        other, variance0 = others[axis], noise[1 + axis] / noise[0]
        before = _shares(filters[axis, :, 12])
        expected = 0.0
        for i in range(n):
            x = filters[axis, i]
            p = x[3:12].reshape((3, 3))
            walk_b, walk_v, jolt = variance0 * walks[i, 0], variance0 * walks[i, 1], walks[i, 2] * pulses[axis]
            x[0] += dt_s * x[1]
            for j in range(3):
                p[0, j] += dt_s * p[1, j]
            for j in range(3):
                p[j, 0] += dt_s * p[j, 1]
            p[0, 0] += walk_b * dt_s + walk_v * dt_s**3 / 3 + jolt
            p[0, 1] += walk_v * dt_s**2 / 2
            p[1, 0] += walk_v * dt_s**2 / 2
            p[1, 1] += walk_v * dt_s
            p[2, 2] += _CHANGE_PER_S * dt_s
            for j in range(3):
                ph[j] = p[j, 0] + p[j, 2] * other
            innovation = positions[axis] - x[0] - x[2] * other
            variance = ph[0] + ph[2] * other + variance0
            surprise = innovation * innovation / variance
            trusted = variance + variance0 * max(surprise / _OUTLIER**2 - 1, 0.0)
            for j in range(3):
                x[j] += ph[j] / trusted * innovation
                for k in range(3):
                    p[j, k] -= ph[j] / trusted * ph[k]
            x[12] = keep * x[12] - 0.5 * math.log(variance) - 3 * math.log1p(min(surprise, 12.0) / 5)
            expected += before[i] * min(surprise, 6.0)
        noise[1 + axis] = keep * noise[1 + axis] + 0.5 * variance0 * expected
        share = _shares(filters[axis, :, 12])
        leaks[axis, 0] = (share * filters[axis, :, 2]).sum()
        leaks[axis, 1] = (share * (filters[axis, :, 11] + (filters[axis, :, 2] - leaks[axis, 0]) ** 2)).sum()
    noise[0] = keep * noise[0] + 0.5
    return leaks[0, 0], leaks[0, 1], leaks[1, 0], leaks[1, 1]


@compiled
def _shares(scores: FloatArray) -> FloatArray:
    """Posterior probabilities."""
    share = np.exp(scores - scores.max())
    return share / share.sum()  # type: ignore[no-any-return]  # of arrays
