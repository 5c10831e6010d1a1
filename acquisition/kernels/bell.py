"""The bell curve, of many places at once.

In: how far from the centre. Out: exp(-x).
"""

from __future__ import annotations

import numpy as np

from .compiled import vectorised


@vectorised
def bell(h: np.float32) -> np.float32:
    """exp(-16 h) for h >= 0, to 1e-6: the 16th power of a Padé approximant.

    Plain arithmetic on 32-bit numbers, which SIMD can do for many at once. Beyond h = 3.45 it stays at 1e-18.
    """
    one, half, twelfth = np.float32(1.0), np.float32(0.5), np.float32(1.0 / 12.0)
    k = min(h, np.float32(3.45))
    even, odd = one + k * k * twelfth, k * half
    r = (even - odd) / (even + odd)
    r = r * r
    r = r * r
    r = r * r
    return r * r
