"""Quantiles of a few hundred numbers, without sorting them.

In: numbers. Out: one number.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .compiled import vectorised


@vectorised
def quantile(values: NDArray[np.float32], n: int, q: float) -> float:
    """The q-quantile of the first n values, all finite: n >= 1, 0 < q < 1.

    Some number between the order statistics next to it, found by counting what is below a guess, which is what SIMD
    does best. The search begins where Cantelli's inequality says, and alternates interpolation with halving.
    """
    part = values[:n]
    first = float(part[0])
    s1 = s2 = np.float32(0.0)
    for i in range(part.size):
        d = part[i] - part[0]
        s1 += d
        s2 += d * d
    mean = float(s1) / n
    deviation = math.sqrt(max(float(s2) / n - mean * mean, 0.0)) + 1e-6 * abs(mean)
    wanted = q * n
    low = first + mean - 1.01 * deviation * math.sqrt((1.0 - q) / q)
    high = first + mean + 1.01 * deviation * math.sqrt(q / (1.0 - q))
    guess = first + mean - 0.3 * (1.0 - 2.0 * q) * deviation * 4.0
    below_low, below_high = 0.0, float(n)
    for step in range(24):
        threshold = np.float32(guess)
        count = np.int32(0)
        for i in range(part.size):
            count = np.int32(count + np.int32(part[i] <= threshold))
        if abs(count - wanted) <= 0.5:
            return guess
        if count > wanted:
            high, below_high = guess, float(count)
        else:
            low, below_low = guess, float(count)
        share = (wanted - below_low) / (below_high - below_low) if step % 3 < 2 else 0.5
        guess = low + min(max(share, 0.02), 0.98) * (high - low)
    return high
