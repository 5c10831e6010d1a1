"""Quantiles of a few hundred numbers, without sorting them.

In: numbers. Out: one number.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .compiled import in_place, vectorised

_WORD = 32  # values that are counted together


@in_place
def room_for(n: int) -> int:
    """How many places an array needs for the quantiles of n values."""
    return (n + _WORD - 1) // _WORD * _WORD


@vectorised
def quantile(values: NDArray[np.float32], n: int, q: float, slack: float = 0.5) -> float:
    """The q-quantile of the first n values, all finite: n >= 1, 0 < q < 1.

    A number with q n of the values below it but for ``slack``, found by counting what is below a guess, which is what
    SIMD does best; of values that are the same (whole numbers) one of them or just next to it. The search begins where
    Cantelli's inequality says, and alternates interpolation with halving.

    There must be `room_for` (n) values; those after the first n are overwritten.
    """
    whole = values[: (n + _WORD - 1) // _WORD * _WORD]
    first = values[0]
    for i in range(n, whole.size):
        whole[i] = first
    s1 = s2 = np.float32(0.0)
    for i in range(whole.size):
        d = whole[i] - first
        s1 += d
        s2 += d * d
    for i in range(n, whole.size):
        whole[i] = np.inf
    start, mean = float(first), float(s1) / n
    deviation = math.sqrt(max(float(s2) / n - mean * mean, 0.0)) + 1e-6 * abs(mean)
    wanted = q * n
    low = start + mean - 1.01 * deviation * math.sqrt((1.0 - q) / q)
    high = start + mean + 1.01 * deviation * math.sqrt(q / (1.0 - q))
    guess = start + mean - 0.3 * (1.0 - 2.0 * q) * deviation * 4.0
    below_low, below_high = 0.0, float(n)
    inside, same = n, 0
    for step in range(24):
        threshold = np.float32(guess)
        count = np.int32(0)
        for i in range(whole.size):
            count = np.int32(count + np.int32(whole[i] <= threshold))
        if abs(count - wanted) <= slack:
            return guess
        if count > wanted:
            high, below_high = guess, float(count)
        else:
            low, below_low = guess, float(count)
        same = same + 1 if below_high - below_low == inside else 0
        inside = int(below_high - below_low)
        if same == 3 and 3 * inside < n and below_low > 0.0:
            return high  # as good as all that lie between are the same
        share = (wanted - below_low) / (below_high - below_low) if step % 3 < 2 else 0.5
        guess = low + min(max(share, 0.02), 0.98) * (high - low)
    return high
