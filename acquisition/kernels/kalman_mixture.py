"""A bank of Kalman filters asked as one: a measurement and the prediction after it, and what all filters together say.

In: a bank, a measurement, and when to look ahead to. Out: the bank changed in place; mixtures by the filters' scores.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from acquisition.kernels.compiled import compiled
from acquisition.kernels.kalman_bank import Bank, predict, update
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
def likeliest(scores: FloatArray, means: FloatArray, variances: FloatArray, size: int) -> tuple[int, float, float]:
    """Of groups of so many filters, which is the likeliest, and mean and standard deviation of its mixture."""
    shares = np.exp(scores - scores.max())
    best, most = 0, -1.0
    for group in range(len(shares) // size):
        total = shares[group * size : (group + 1) * size].sum()
        if total > most:
            best, most = group, total
    among = slice(best * size, (best + 1) * size)
    mean, deviation = mixture(scores[among], means[among], variances[among])
    return best, mean, deviation


@compiled
def mixture(scores: FloatArray, means: FloatArray, variances: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation of normal distributions together, each as probable as its score makes it."""
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    mean: float = (shares * means).sum()
    return mean, math.sqrt((shares * (variances + (means - mean) ** 2)).sum())
