"""Where the lock moves in a dither.

In: an amount and a random generator. Out: the step along the mount's axes, px.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class DitherRule:
    """Every `every_s` seconds (None: never), by up to `amount_px` on each axis."""

    every_s: float | None = None
    amount_px: float = 3.0
    ra_only: bool = False


def random_dither(generator: np.random.Generator, amount_px: float, ra_only: bool = False) -> tuple[float, float]:
    """A step uniform within ±`amount_px` on each axis (PHD2's random mode).

    Returns
    -------
    (ra_px, dec_px)

    Raises
    ------
    ValueError
        If the amount is not finite or negative.
    """
    if not math.isfinite(amount_px) or amount_px < 0:
        raise ValueError(f"dither amount is {amount_px} px; allowed: 0 or more")
    ra, dec = generator.uniform(-amount_px, amount_px, 2)
    return float(ra), 0.0 if ra_only else float(dec)
