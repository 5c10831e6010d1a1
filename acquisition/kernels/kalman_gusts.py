"""A bank of Kalman filters for motion with gusts, seen through gears: offset and velocity, a displacement that forgets
itself, play, and how lopsided pulses are.

In: a bank and a measurement for each filter. Out: the bank changed in place. States are [offset, velocity, gust, play,
lopsided]; the gust is an Ornstein-Uhlenbeck process, exact whatever the step; play is constant, and in some
measurements only; so is by how much more the motor moves one way, and less the other, which shows where it crosses a
gap. (Elsewhere drift looks just like it, and a feedback loop would take the one for the other.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled
from acquisition.kernels.kalman_bank import learn, new_noise, times

FloatArray = NDArray[np.float64]

_STATES = 5


class GustBank(NamedTuple):
    """`n` filters of four states, of `k` kinds in turn: filter i is of kind i % k, and of group i // k.

    Attributes
    ----------
    x : array (n, 5)
    p : array (n, 5, 5)
    noise : array (n, 3)
    score : array (n,)
        These three as in `kalman_bank.Bank`.
    walk : array (k, 2)
        Process noise of offset and velocity per s, in units of the measurement variance.
    gust : array (k, 2)
        Time after which a gust is forgotten, s, and its variance in units of the measurement variance (0: no gusts).
    """

    x: FloatArray
    p: FloatArray
    noise: FloatArray
    score: FloatArray
    walk: FloatArray
    gust: FloatArray

    def copy(self) -> GustBank:
        """Independent in everything that `update_gusts` changes."""
        x, p, noise, score = (values.copy() for values in self[:4])
        return self._replace(x=x, p=p, noise=noise, score=score)


def new_gust_bank(
    walk: FloatArray, gust: FloatArray, offset: FloatArray, velocity_error: float, play_error: FloatArray,
    lopsided_error: float,
) -> GustBank:  # fmt: skip
    """A bank before its first measurement, which is at `offset` (n,).

    `play_error` (n/k,) and `lopsided_error` are standard deviations, the first of the groups' play.
    """
    n = len(offset)
    x, p, noise = np.zeros((n, _STATES)), np.zeros((n, _STATES, _STATES)), new_noise(n)
    x[:, 0] = offset
    p[:, 0, 0], p[:, 1, 1] = 25.0, velocity_error**2
    p[:, 2, 2] = np.tile(gust[:, 1], n // len(gust)) * noise[:, 1] / noise[:, 0]
    p[:, 3, 3] = np.repeat(play_error, len(gust)) ** 2
    p[:, 4, 4] = lopsided_error**2
    return GustBank(x, p, noise, np.zeros(n), walk, gust)


@compiled
def _advanced(
    x: FloatArray, p: FloatArray, r: float, walk: FloatArray, gust: FloatArray, dt_s: float, crossed: float
) -> None:
    """Advance one filter by `dt_s`, in which the motor crossed so much of a gap, in place."""
    keeps = math.exp(-dt_s / gust[0])
    x[0] += dt_s * x[1] - crossed * x[4]
    x[2] *= keeps
    for j in range(_STATES):
        p[0, j] += dt_s * p[1, j] - crossed * p[4, j]
    p[0, 0] += dt_s * p[0, 1] - crossed * p[0, 4] + r * (walk[0] * dt_s + walk[1] * dt_s**3 / 3)
    p[0, 1] += r * walk[1] * dt_s**2 / 2
    p[1, 1] += r * walk[1] * dt_s
    for j in range(1, _STATES):
        p[j, 0] = p[0, j]
    p[2, 2] *= keeps
    for j in range(_STATES):
        p[2, j] *= keeps
        p[j, 2] = p[2, j]
    p[2, 2] += r * gust[1] * (1 - keeps**2)


@compiled
def update_gusts(
    bank: GustBank, dt_s: float, z: FloatArray, with_play: FloatArray, crossed: FloatArray, weight: float,
    memory: float,
) -> None:  # fmt: skip
    """As `kalman_bank.update`, with a measurement of its own for each filter.

    `with_play` (n/k,) is how much of its play each group has in its measurement, and `crossed` (n/k,) what the motor
    was asked for since the last one to come through a gap.

    A surprise counts in full, however large: what nobody could expect (a bad centroid, a shaken mount) surprises all
    filters alike, and what only some expected (the end of a gap) is what tells them apart.
    """
    h, gain, seen, kinds = np.zeros(_STATES), np.empty(_STATES), np.empty(_STATES), len(bank.gust)
    h[0], h[2] = 1.0, 1.0
    for i in range(len(bank.x)):
        group, kind, p = i // kinds, i % kinds, bank.p[i]
        r = bank.noise[i, 1] / bank.noise[i, 0]
        _advanced(bank.x[i], p, r, bank.walk[kind], bank.gust[kind], dt_s, crossed[group])
        h[3] = with_play[group]
        variance = times(p, h, seen) + r * weight
        expected, _, _ = learn(bank.x[i], p, bank.noise[i], h, gain, z[i], weight)
        surprise = (z[i] - expected) ** 2 / variance
        bank.score[i] = (1 - 1 / memory) * bank.score[i] - 0.5 * math.log(variance) - 3 * math.log(1 + surprise / 5)


@compiled
def predict_gusts(bank: GustBank, dt_s: float, mean: FloatArray, variance: FloatArray) -> None:
    """As `kalman_bank.predict`, without play."""
    kinds = len(bank.gust)
    for i in range(len(bank.x)):
        r = bank.noise[i, 1] / bank.noise[i, 0]
        x, p, walk, gust = bank.x[i], bank.p[i], bank.walk[i % kinds], bank.gust[i % kinds]
        keeps = math.exp(-dt_s / gust[0])
        mean[i] = x[0] + dt_s * x[1] + keeps * x[2]
        steady = p[0, 0] + dt_s * (2 * p[0, 1] + dt_s * p[1, 1]) + r * (walk[0] * dt_s + walk[1] * dt_s**3 / 3)
        gusts = p[2, 2] * keeps**2 + r * gust[1] * (1 - keeps**2)
        variance[i] = steady + 2 * keeps * (p[0, 2] + dt_s * p[1, 2]) + gusts
