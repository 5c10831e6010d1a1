"""A bank of Kalman filters for motion that swings: offset and velocity, and a damped oscillator driven by noise.

In: a bank and a measurement. Out: the bank changed in place. States are [offset, velocity, swing, its velocity];
between measurements the oscillator is exact whatever the step: its noise is what keeps it stationary.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled
from acquisition.kernels.kalman_bank import RECENT, learn, new_noise, times

FloatArray = NDArray[np.float64]


class SwingBank(NamedTuple):
    """`n` filters of four states; `noise`, `score` and `recent` as in `kalman_bank.Bank`.

    Attributes
    ----------
    x : array (n, 4)
    p : array (n, 4, 4)
    noise : array (n, 3)
    score, recent : array (n,)
    walk : array (n, 2)
        Process noise of offset and velocity per s, in units of the measurement variance.
    swing : array (n, 3)
        Of the oscillator: frequency rad/s, damping ratio below 1, variance in units of the measurement variance.
    """

    x: FloatArray
    p: FloatArray
    noise: FloatArray
    score: FloatArray
    recent: FloatArray
    walk: FloatArray
    swing: FloatArray

    def copy(self) -> SwingBank:
        """Independent in everything that `update_swing` changes."""
        x, p, noise, score, recent = (values.copy() for values in self[:5])
        return self._replace(x=x, p=p, noise=noise, score=score, recent=recent)


def new_swing_bank(walk: FloatArray, swing: FloatArray, offset: float, velocity_error: float) -> SwingBank:
    """A bank before its first measurement, which is at `offset`."""
    n = len(walk)
    x = np.zeros((n, 4))
    x[:, 0] = offset
    p = np.zeros((n, 4, 4))
    p[:] = np.diag([25.0, velocity_error**2, 0.0, 0.0])
    return SwingBank(x, p, new_noise(n), np.zeros(n), np.zeros(n), walk, swing)


@compiled
def _transition(frequency: float, damping: float, dt_s: float, f: FloatArray) -> None:
    """The 2x2 matrix that advances a damped oscillator's position and velocity."""
    decay = damping * frequency
    beat = frequency * math.sqrt(1 - damping * damping)
    shrink, c, s = math.exp(-decay * dt_s), math.cos(beat * dt_s), math.sin(beat * dt_s)
    f[0, 0] = shrink * (c + decay / beat * s)
    f[0, 1] = shrink * s / beat
    f[1, 0] = -shrink * frequency * frequency / beat * s
    f[1, 1] = shrink * (c - decay / beat * s)


@compiled
def _advanced(x: FloatArray, p: FloatArray, r: float, walk: FloatArray, swing: FloatArray, dt_s: float) -> None:
    """Advance one filter by `dt_s`, in place."""
    f = np.eye(4)
    f[0, 1] = dt_s
    _transition(swing[0], swing[1], dt_s, f[2:, 2:])
    variance = r * swing[2]
    speed = variance * swing[0] * swing[0]
    fx, fp = np.zeros(4), np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            fx[i] += f[i, j] * x[j]
            for k in range(4):
                fp[i, j] += f[i, k] * p[k, j]
    for i in range(4):
        x[i] = fx[i]
        for j in range(4):
            p[i, j] = 0.0
            for k in range(4):
                p[i, j] += fp[i, k] * f[j, k]
    p[0, 0] += r * (walk[0] * dt_s + walk[1] * dt_s**3 / 3)
    p[0, 1] += r * walk[1] * dt_s**2 / 2
    p[1, 0] = p[0, 1]
    p[1, 1] += r * walk[1] * dt_s
    p[2, 2] += variance * (1 - f[2, 2] ** 2) - speed * f[2, 3] ** 2
    p[2, 3] -= variance * f[2, 2] * f[3, 2] + speed * f[2, 3] * f[3, 3]
    p[3, 2] = p[2, 3]
    p[3, 3] += speed * (1 - f[3, 3] ** 2) - variance * f[3, 2] ** 2


@compiled
def update_swing(bank: SwingBank, dt_s: float, z: float, weight: float, memory: float) -> None:
    """As `kalman_bank.update`, for one measurement of all."""
    h, gain = np.array([1.0, 0.0, 1.0, 0.0]), np.empty(4)
    for i in range(len(bank.x)):
        r = bank.noise[i, 1] / bank.noise[i, 0]
        _advanced(bank.x[i], bank.p[i], r, bank.walk[i], bank.swing[i], dt_s)
        _, gained, _ = learn(bank.x[i], bank.p[i], bank.noise[i], h, gain, z, weight)
        bank.score[i] = (1 - 1 / memory) * bank.score[i] + gained
        bank.recent[i] = (1 - 1 / RECENT) * bank.recent[i] + gained


@compiled
def predict_swing(bank: SwingBank, dt_s: float, mean: FloatArray, variance: FloatArray) -> None:
    """As `kalman_bank.predict`."""
    h, gain = np.array([1.0, 0.0, 1.0, 0.0]), np.empty(4)
    for i in range(len(bank.x)):
        r = bank.noise[i, 1] / bank.noise[i, 0]
        x, p = bank.x[i].copy(), bank.p[i].copy()
        _advanced(x, p, r, bank.walk[i], bank.swing[i], dt_s)
        mean[i] = x[0] + x[2]
        variance[i] = times(p, h, gain)
