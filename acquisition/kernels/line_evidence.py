"""Whether there are lines in a series that a filter does not know: how much better it would expect it with them.

In: a filter before its first measurement, a series, frequencies. Out: for each, the logarithm of a Bayes factor.

A Kalman filter is linear in what it is given, so its innovations are those of the noise, plus a line's amplitudes times
those that its cosine and its sine alone would have. These are found by the same gains, and after them nothing is left
but to fit two amplitudes to white noise (generalised least squares): what drift, the worm and the filter's own
adaption swallow of a line is accounted for.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled, vectorised
from acquisition.kernels.kalman_bank import Bank, add_to_row, advance, learn, waves

FloatArray = NDArray[np.float64]


def log_bayes_factors(
    bank: Bank, t_s: FloatArray, exposure_s: FloatArray, z: FloatArray, weight: FloatArray, frequencies: FloatArray,
    variance: float,
) -> FloatArray:  # fmt: skip
    """By how much the log-likelihood of a series grows with a line of each frequency.

    Parameters
    ----------
    bank : Bank
        One filter; it sees the series.
    t_s, exposure_s, z, weight : array (n,)
        As for `kalman_bank.replay`.
    frequencies : array (k,)
        Hz.
    variance : float
        Of a line's amplitudes, as they are expected.

    Returns
    -------
    array (k,)
        Logarithm of the Bayes factor: below 0 where nothing speaks for a line.
    """
    cc, cs, ss, c, s = sums = np.zeros((5, len(frequencies)))
    _correlate(bank, t_s, exposure_s, z, weight, 2 * np.pi * frequencies, sums)
    cc, ss = cc + 1 / variance, ss + 1 / variance
    determinant = cc * ss - cs * cs
    explained = (ss * c * c - 2 * cs * c * s + cc * s * s) / determinant
    evidence: FloatArray = 0.5 * explained - 0.5 * np.log(determinant * variance**2)
    return evidence


@compiled
def _correlate(
    bank: Bank, t_s: FloatArray, exposure_s: FloatArray, z: FloatArray, weight: FloatArray, omega: FloatArray,
    sums: FloatArray,
) -> None:  # fmt: skip
    """Products of whitened cosines and sines with each other and with the whitened series, summed."""
    m, k = bank.x.shape[1], len(omega)
    h, gain = np.empty(m), np.empty(m)
    h[0], h[1] = 1.0, 0.0
    lines, seen = np.zeros((m, 2 * k)), np.empty(2 * k)  # what the filter's states are for each cosine and sine alone
    x, p, noise = bank.x[0], bank.p[0], bank.noise[0]
    last_s = t_s[0] if len(t_s) else 0.0
    for row in range(len(t_s)):
        dt_s = t_s[row] - last_s
        r = noise[1] / noise[0]
        advance(x, p, dt_s, r * bank.walk[0, 0], r * bank.walk[0, 1], bank.drift[0])
        add_to_row(lines[0], dt_s, lines[1])
        waves(bank.omega[0], t_s[row], exposure_s[row], h)
        expected, _, variance = learn(x, p, noise, h, gain, z[row], weight[row])
        _waves_apart(omega, t_s[row], exposure_s[row], seen[:k], seen[k:])
        for j in range(m):
            if h[j] != 0:
                add_to_row(seen, -h[j], lines[j])
        for j in range(m):
            add_to_row(lines[j], gain[j] / variance, seen)
        _add(seen[:k], seen[k:], z[row] - expected, 1 / variance, sums[0], sums[1], sums[2], sums[3], sums[4])
        last_s = t_s[row]


@vectorised
def _waves_apart(omega: FloatArray, t_s: float, exposure_s: float, cosines: FloatArray, sines: FloatArray) -> None:
    """`kalman_bank.waves` with all cosines side by side, as SIMD likes them."""
    for k in range(len(omega)):
        half = 0.5 * omega[k] * exposure_s
        blur = math.sin(half) / half if half > 1e-6 else 1.0
        cosines[k] = blur * math.cos(omega[k] * t_s)
        sines[k] = blur * math.sin(omega[k] * t_s)


@vectorised
def _add(
    cosines: FloatArray, sines: FloatArray, innovation: float, share: float, cc: FloatArray, cs: FloatArray,
    ss: FloatArray, c: FloatArray, s: FloatArray,
) -> None:  # fmt: skip
    for k in range(len(cosines)):
        cc[k] += share * cosines[k] * cosines[k]
        cs[k] += share * cosines[k] * sines[k]
        ss[k] += share * sines[k] * sines[k]
        c[k] += share * cosines[k] * innovation
        s[k] += share * sines[k] * innovation
