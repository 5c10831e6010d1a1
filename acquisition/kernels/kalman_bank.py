"""Banks of Kalman filters that share a measurement: offset, velocity, and any number of lines of given frequencies.

In: a bank and a measurement. Out: the bank changed in place, each filter's noise scale and likelihood with it. States
are [offset, velocity, cos 1, sin 1, cos 2, ...]; times are s, lengths of one unit, frequencies rad/s.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled, vectorised

FloatArray = NDArray[np.float64]

_OUTLIER = 3.5
_NO_OUTLIER = 3  # running, on the same side
_NOISE_SHAPE, _NOISE_SCALE = 6.0, 0.3
_NOISE_FORGETTING = 1 - 1 / 300
RECENT = 30.0  # measurements


class Bank(NamedTuple):
    """`n` filters of `m` states each; `n/g` after each other share the frequencies of their `k` = (m - 2)/2 lines.

    Attributes
    ----------
    x : array (n, m)
    p : array (n, m, m)
        Covariances.
    noise : array (n, 3)
        Shape and scale of the measurement variance: it is scale/shape; and how many outliers there were running, with
        the sign of the side that they are on.
    score : array (n,)
        Logarithm of the likelihood, forgetting slowly.
    recent : array (n,)
        The same of the last few measurements: it forgets after `RECENT`.
    walk : array (n, 2)
        Process noise of offset and velocity per s, in units of the measurement variance.
    omega : array (g, k)
        Frequencies of the lines, rad/s.
    drift : array (g, k)
        Variance that their amplitudes gain per s.
    """

    x: FloatArray
    p: FloatArray
    noise: FloatArray
    score: FloatArray
    recent: FloatArray
    walk: FloatArray
    omega: FloatArray
    drift: FloatArray

    def copy(self) -> Bank:
        """Independent in everything that `update` changes."""
        x, p, noise, score, recent = (values.copy() for values in self[:5])
        return self._replace(x=x, p=p, noise=noise, score=score, recent=recent)


def new_bank(
    walk: FloatArray,
    offset: float | FloatArray,
    velocity_error: float,
    omega: FloatArray,
    prior: FloatArray,
    drift: FloatArray,
) -> Bank:
    """A bank before its first measurement.

    Parameters
    ----------
    walk : array (n, 2)
    offset : float or array (n,)
        Where the first measurement is.
    velocity_error : float
        Standard deviation of the velocity, 1/s.
    omega, prior, drift : array (k,) or (g, k)
        Lines: frequency rad/s, variance of each amplitude, its growth per s; a row for every n/g filters.
    """
    omega, prior, drift = (np.atleast_2d(np.ascontiguousarray(rows, np.float64)) for rows in (omega, prior, drift))
    n, m = len(walk), 2 + 2 * omega.shape[1]
    x = np.zeros((n, m))
    x[:, 0] = offset
    p = np.zeros((n, m, m))
    p[:, 0, 0], p[:, 1, 1] = 25.0, velocity_error**2
    lines = np.arange(2, m)
    p[:, lines, lines] = np.repeat(np.repeat(prior, 2, axis=1), n // len(prior), axis=0)
    return Bank(x, p, new_noise(n), np.zeros(n), np.zeros(n), np.ascontiguousarray(walk, np.float64), omega, drift)


def new_noise(n: int) -> FloatArray:
    """Of `n` filters before their first measurement."""
    return np.tile([_NOISE_SHAPE, _NOISE_SCALE, 0.0], (n, 1))


@vectorised
def times(p: FloatArray, h: FloatArray, out: FloatArray) -> float:
    """out = p h, and h p h."""
    total = 0.0
    for i in range(len(h)):
        row = 0.0
        for j in range(len(h)):
            row += p[i, j] * h[j]
        out[i] = row
        total += row * h[i]
    return total


@compiled
def learn(
    x: FloatArray, p: FloatArray, noise: FloatArray, h: FloatArray, gain: FloatArray, z: float, weight: float
) -> tuple[float, float, float]:
    """Give one filter its measurement, seen through `h`; outliers count less.

    The third outlier running on the same side is no outlier: the offset has jumped.

    Returns
    -------
    expected, score, trusted : float
        What it expected, the logarithm of that measurement's (heavy-tailed) likelihood, and the variance of the
        innovation as it was believed: `gain` over this is what the states gained per innovation.
    """
    expected = 0.0
    for j in range(len(x)):
        expected += h[j] * x[j]
    r = noise[1] / noise[0]
    known = times(p, h, gain)
    variance = known + r * weight
    innovation = z - expected
    squared = innovation * innovation / variance
    score = -0.5 * math.log(variance) - 3 * math.log(1 + min(squared, 12.0) / 5)
    side = math.copysign(1.0, innovation)
    if squared <= _OUTLIER**2:
        noise[2] = 0.0
    else:
        noise[2] = side + (noise[2] if noise[2] * side > 0 else 0.0)
    if abs(noise[2]) >= _NO_OUTLIER:
        p[0, 0] += innovation * innovation
        known = times(p, h, gain)
        squared = innovation * innovation / (known + r * weight)
    trusted = known + r * weight * max(1.0, squared / _OUTLIER**2)
    for j in range(len(x)):
        x[j] += gain[j] * innovation / trusted
    _subtract(p, gain / trusted, gain)
    noise[0] = _NOISE_FORGETTING * noise[0] + 0.5
    noise[1] = _NOISE_FORGETTING * noise[1] + 0.5 * r * min(squared, 6.0)
    return expected, score, trusted


@compiled
def waves(omega: FloatArray, t_s: float, exposure_s: float, h: FloatArray) -> None:
    """How an exposure around `t_s` sees the lines: their cosines and sines, blurred."""
    for k in range(len(omega)):
        half = 0.5 * omega[k] * exposure_s
        blur = math.sin(half) / half if half > 1e-6 else 1.0
        h[2 + 2 * k] = blur * math.cos(omega[k] * t_s)
        h[3 + 2 * k] = blur * math.sin(omega[k] * t_s)


@compiled
def update(bank: Bank, dt_s: float, t_s: float, exposure_s: float, z: FloatArray, weight: float, memory: float) -> None:
    """Advance every filter by `dt_s` and give it its measurement, the mean over an exposure around `t_s`.

    Parameters
    ----------
    bank : Bank
        Changed in place.
    dt_s, t_s, exposure_s : float
    z : array (n,)
    weight : float
        This measurement's variance over the usual one.
    memory : float
        Measurements that the score remembers.
    """
    n, m = bank.x.shape
    h, gain = np.empty(m), np.empty(m)
    h[0], h[1] = 1.0, 0.0
    together = n // len(bank.omega)
    for i in range(n):
        group = i // together
        if i % together == 0:
            waves(bank.omega[group], t_s, exposure_s, h)
        x, p = bank.x[i], bank.p[i]
        r = bank.noise[i, 1] / bank.noise[i, 0]
        advance(x, p, dt_s, r * bank.walk[i, 0], r * bank.walk[i, 1], bank.drift[group])
        _, gained, _ = learn(x, p, bank.noise[i], h, gain, z[i], weight)
        bank.score[i] = (1 - 1 / memory) * bank.score[i] + gained
        bank.recent[i] = (1 - 1 / RECENT) * bank.recent[i] + gained


@compiled
def _subtract(p: FloatArray, shares: FloatArray, gain: FloatArray) -> None:
    for i in range(len(gain)):
        add_to_row(p[i], -shares[i], gain)


@vectorised
def add_to_row(row: FloatArray, share: float, other: FloatArray) -> None:
    """row += share other."""
    # in a loop over rows LLVM does not use SIMD, as for all it knows a row could be the other
    for j in range(len(row)):
        row[j] += share * other[j]


@compiled
def advance(x: FloatArray, p: FloatArray, dt_s: float, q_b: float, q_v: float, drift: FloatArray) -> None:
    m = len(x)
    x[0] += dt_s * x[1]
    for j in range(m):
        p[0, j] += dt_s * p[1, j]
    for j in range(m):
        p[j, 0] += dt_s * p[j, 1]
    p[0, 0] += q_b * dt_s + q_v * dt_s**3 / 3
    p[0, 1] += q_v * dt_s**2 / 2
    p[1, 0] = p[0, 1]
    p[1, 1] += q_v * dt_s
    for k in range(len(drift)):
        p[2 + 2 * k, 2 + 2 * k] += drift[k] * dt_s
        p[3 + 2 * k, 3 + 2 * k] += drift[k] * dt_s


@compiled
def predict(bank: Bank, dt_s: float, t_s: float, mean: FloatArray, variance: FloatArray) -> None:
    """What each filter expects at `t_s`, `dt_s` after its last measurement, and with which variance."""
    n, m = bank.x.shape
    h, ph = np.empty(m), np.empty(m)
    h[0], h[1] = 1.0, dt_s
    together = n // len(bank.omega)
    for i in range(n):
        if i % together == 0:
            waves(bank.omega[i // together], t_s, 0.0, h)
        r = bank.noise[i, 1] / bank.noise[i, 0]
        total = 0.0
        for j in range(m):
            total += h[j] * bank.x[i, j]
        mean[i] = total
        variance[i] = times(bank.p[i], h, ph) + r * (bank.walk[i, 0] * dt_s + bank.walk[i, 1] * dt_s**3 / 3)


@compiled
def replay(
    bank: Bank, t_s: FloatArray, exposure_s: FloatArray, z: FloatArray, weight: FloatArray, memory: float
) -> None:
    """Give a new bank a series of measurements, the first at `t_s[0]`.

    As `update` after `update`, but one filter after the other: its covariance stays at hand.
    """
    n, m = bank.x.shape
    seen, gain = np.empty((len(t_s), m)), np.empty(m)
    together = n // len(bank.omega)
    for i in range(n):
        group = i // together
        if i % together == 0:
            for row in range(len(t_s)):
                seen[row, 0], seen[row, 1] = 1.0, 0.0
                waves(bank.omega[group], t_s[row], exposure_s[row], seen[row])
        x, p = bank.x[i], bank.p[i]
        last_s = t_s[0] if len(t_s) else 0.0
        for row in range(len(t_s)):
            r = bank.noise[i, 1] / bank.noise[i, 0]
            advance(x, p, t_s[row] - last_s, r * bank.walk[i, 0], r * bank.walk[i, 1], bank.drift[group])
            _, gained, _ = learn(x, p, bank.noise[i], seen[row], gain, z[row], weight[row])
            bank.score[i] = (1 - 1 / memory) * bank.score[i] + gained
            bank.recent[i] = (1 - 1 / RECENT) * bank.recent[i] + gained
            last_s = t_s[row]
