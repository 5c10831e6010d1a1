"""A bank of Kalman filters asked as one: a measurement and the prediction after it, and what all filters together say.

In: a bank, a measurement, and when to look ahead to. Out: the bank changed in place; mixtures by the filters' scores.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled
from acquisition.kernels.kalman_bank import Bank, predict, update
from acquisition.kernels.kalman_gusts import GustBank, predict_gusts, update_gusts
from acquisition.kernels.kalman_swing import SwingBank, predict_swing, update_swing

FloatArray = NDArray[np.float64]


@compiled
def update_and_predict(
    bank: Bank, dt_s: float, t_s: float, exposure_s: float, z: FloatArray, weight: float, memory: float, at_s: float,
    table: FloatArray,
) -> None:  # fmt: skip
    """`update` a bank, and `predict` what it expects at `at_s`.

    `table` (2, n) gets the filters' predictions and their variances.
    """
    update(bank, dt_s, t_s, exposure_s, z, weight, memory)
    predict(bank, at_s - t_s, at_s, table[0], table[1])


@compiled
def update_and_predict_swing(
    bank: SwingBank, dt_s: float, t_s: float, z: float, weight: float, memory: float, at_s: float, table: FloatArray
) -> None:
    """As `update_and_predict`."""
    update_swing(bank, dt_s, z, weight, memory)
    predict_swing(bank, at_s - t_s, table[0], table[1])


@compiled
def update_and_predict_gusts(
    bank: GustBank, dt_s: float, z: FloatArray, with_play: FloatArray, crossed: FloatArray, weight: float,
    memory: float, ahead_s: float, table: FloatArray,
) -> None:  # fmt: skip
    """As `update_and_predict`, for `ahead_s` after the measurement."""
    update_gusts(bank, dt_s, z, with_play, crossed, weight, memory)
    predict_gusts(bank, ahead_s, table[0], table[1])


@compiled
def groups(
    scores: FloatArray, means: FloatArray, variances: FloatArray, size: int
) -> tuple[FloatArray, FloatArray, float]:
    """Of groups of so many filters: how likely each is, the mean of its mixture, and the mean variance of all."""
    n = len(scores) // size
    shares, centres, variance = np.zeros(n), np.zeros(n), 0.0
    believed = np.exp(scores - scores.max())
    believed /= believed.sum()
    for i in range(len(scores)):
        shares[i // size] += believed[i]
        centres[i // size] += believed[i] * means[i]
    for group in range(n):
        centres[group] /= max(shares[group], 1e-300)
    for i in range(len(scores)):
        variance += believed[i] * (variances[i] + (means[i] - centres[i // size]) ** 2)
    return shares, centres, variance


@compiled
def mixture(scores: FloatArray, means: FloatArray, variances: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation of normal distributions together, each as probable as its score makes it."""
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    mean: float = (shares * means).sum()
    return mean, math.sqrt((shares * (variances + (means - mean) ** 2)).sum())
