"""What every exposure law keeps to: limits, steps, dark frames, and gain as the second variable.

In: the exposure that a law wants. Out: the one that may be had, with the gain that goes with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Bound(StrEnum):
    """What kept the next exposure from being what the target asks for."""

    SHORTEST = "shortest exposure"
    LONGEST = "longest exposure"
    STEP = "largest step"
    BAND = "dead band"
    DARKS = "dark frames"
    RETURN = "light just came back"


@dataclass(frozen=True, slots=True)
class GainRule:
    """How gain helps where the exposure cannot.

    Gain is raised when the longest exposure is not enough, and lowered again only when an exposure of
    `return_share` times the longest would be enough at the lower gain; so they never hunt.

    Parameters
    ----------
    lowest, highest : float
        Camera units.
    step : float
        Gain changes by whole steps of this, camera units.
    decibel_per_unit : float
        How much a unit amplifies (ZWO: 0.1 dB). Where frames state their e-/ADU, that corrects it.
    return_share : float
        See above; below 1.
    """

    lowest: float
    highest: float
    step: float = 60.0
    decibel_per_unit: float = 0.1
    return_share: float = 0.5

    def __post_init__(self) -> None:
        check_number("gain.lowest", self.lowest, -math.inf, self.highest)
        check_number("gain.highest", self.highest, self.lowest, math.inf)
        check_number("gain.step", self.step, 1e-6, math.inf)
        check_number("gain.decibel_per_unit", self.decibel_per_unit, 1e-6, 100.0)
        check_number("gain.return_share", self.return_share, 0.01, 0.99)

    def amplification(self, change: float) -> float:
        """ADU per electron at a gain higher by so many units, over that before."""
        return float(10 ** (change * self.decibel_per_unit / 20))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a law may ask for.

    Parameters
    ----------
    min_s, max_s : float
        Shortest and longest exposure.
    max_step : float
        Largest ratio between one exposure and the next; infinity: no limit. A clipped frame is shortened without
        regard to it.
    dead_band : float
        Relative changes below are not made, nor such as the noise of the measurement explains.
    darks_s : tuple of float
        Exposures for which there are dark frames: nothing else is asked for; empty: anything.
    gain : GainRule or None
        None: the gain is left alone.
    """

    min_s: float = 0.001
    max_s: float = 60.0
    max_step: float = 4.0
    dead_band: float = 0.05
    darks_s: tuple[float, ...] = ()
    gain: GainRule | None = None

    def __post_init__(self) -> None:
        check_number("min_s", self.min_s, 1e-6, self.max_s)
        check_number("max_s", self.max_s, self.min_s, 1e5)
        check_number("max_step", self.max_step, 1.05, math.inf)
        check_number("dead_band", self.dead_band, 0.0, 1.0)
        if not all(math.isfinite(dark) and dark > 0 for dark in self.darks_s):
            raise ValueError(f"darks_s is {self.darks_s}; allowed: exposures above 0 s")
        if self.darks_s and not self.available_s:
            raise ValueError(f"darks_s is {self.darks_s}; allowed: at least one of {self.min_s:g} to {self.max_s:g} s")

    @property
    def available_s(self) -> tuple[float, ...]:
        """The dark frames' exposures within the limits, shortest first."""
        return tuple(sorted(dark for dark in self.darks_s if self.min_s <= dark <= self.max_s))


def check_number(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless low <= value <= high."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; allowed: {low:g} to {high:g}")


def permitted(limits: Limits, wanted_s: float, before_s: float, may_leap: bool) -> tuple[float, Bound | None]:
    """The exposure nearest to a wanted one that the limits permit, and what kept it from being that.

    Parameters
    ----------
    limits : Limits
    wanted_s, before_s : float
        Wanted, and that of the frame before.
    may_leap : bool
        Whether `max_step` does not hold (a clipped frame).
    """
    exposure_s, bound = wanted_s, None
    if not may_leap and exposure_s > before_s * limits.max_step:
        exposure_s, bound = before_s * limits.max_step, Bound.STEP
    elif not may_leap and exposure_s < before_s / limits.max_step:
        exposure_s, bound = before_s / limits.max_step, Bound.STEP
    if exposure_s >= limits.max_s:
        exposure_s, bound = limits.max_s, Bound.LONGEST if wanted_s > limits.max_s else bound
    elif exposure_s <= limits.min_s:
        exposure_s, bound = limits.min_s, Bound.SHORTEST if wanted_s < limits.min_s else bound
    if limits.darks_s:
        # no longer than wanted, so that nothing is clipped for want of a dark frame
        shorter = [dark for dark in limits.available_s if dark <= exposure_s * (1 + 1e-9)]
        dark_s = shorter[-1] if shorter else limits.available_s[0]
        if dark_s != exposure_s:
            exposure_s, bound = dark_s, bound or Bound.DARKS
    return exposure_s, bound
