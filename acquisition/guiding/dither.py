"""Where the lock moves in a dither.

In: an amount and a random generator. Out: the step along the mount's axes, px.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

Pattern: TypeAlias = Literal["random", "spiral"]


@dataclass(frozen=True, slots=True)
class DitherRule:
    """When and how far.

    Parameters
    ----------
    every_s : float or None
        None: only when somebody asks for it.
    amount_px : float
        On each axis: at most (random), or from one place of the pattern to the next (spiral).
    ra_only : bool
    pattern : str
        ``random``, or ``spiral``: a square one about the first lock (on RA only: to and fro, ever further).
    recentre : bool
        Send a pulse for the dither at once, and do not wait for the next frame to show that the star is elsewhere.
    """

    every_s: float | None = None
    amount_px: float = 3.0
    ra_only: bool = False
    pattern: Pattern = "random"
    recentre: bool = True


class Dithers:
    """One dither after the other, by a rule.

    Parameters
    ----------
    pattern : str
        As of `DitherRule`.
    generator : numpy.random.Generator
        For random ones.
    """

    def __init__(self, pattern: Pattern, generator: np.random.Generator) -> None:
        self._pattern = pattern
        self._generator = generator
        self._number = 0

    def next(self, amount_px: float, ra_only: bool = False) -> tuple[float, float]:
        """(RA, Dec) step, px; raises ValueError if the amount is not finite or negative."""
        if self._pattern == "random":
            return random_dither(self._generator, amount_px, ra_only)
        self._number += 1
        return spiral_dither(self._number, amount_px, ra_only)


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
    check_amount(amount_px)
    ra, dec = generator.uniform(-amount_px, amount_px, 2)
    return float(ra), 0.0 if ra_only else float(dec)


def spiral_dither(number: int, amount_px: float, ra_only: bool = False) -> tuple[float, float]:
    """The `number`-th step (from 1) along a square spiral whose places are `amount_px` apart.

    On RA only the places are 1, -1, 2, -2 ... times the amount.

    Returns
    -------
    (ra_px, dec_px)

    Raises
    ------
    ValueError
        If the amount is not finite or negative.
    """
    check_amount(amount_px)
    if ra_only:
        return (amount_px * (number if number % 2 else -number), 0.0)
    # sides of the spiral: 1, 1, 2, 2, 3, 3 ... steps, a quarter turn after each
    side, left = 0, number
    while left > side // 2 + 1:
        left -= side // 2 + 1
        side += 1
    ra, dec = ((1, 0), (0, 1), (-1, 0), (0, -1))[side % 4]
    return amount_px * ra, amount_px * dec


def within_frame(step: tuple[float, float], room: Callable[[float, float], float]) -> tuple[float, float]:
    """The step, mirrored on one axis or both if it would lead out of the frame (PHD2's way).

    Parameters
    ----------
    step : (float, float)
        On RA and Dec, px.
    room : callable
        How far inside the frame a step leads; below 0: too far out. Where all do, the least bad is taken.
    """
    ra, dec = step
    mirrored = [(ra, dec), (-ra, dec), (ra, -dec), (-ra, -dec)]
    return next((each for each in mirrored if room(*each) >= 0), max(mirrored, key=lambda each: room(*each)))


def check_amount(amount_px: float) -> None:
    """Raise ValueError unless it is a number of 0 or more."""
    if not math.isfinite(amount_px) or amount_px < 0:
        raise ValueError(f"dither amount is {amount_px} px; allowed: 0 or more")
