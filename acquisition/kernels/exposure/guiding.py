"""The guiding law: the exposure with which guiding will be best.

In: where the stars would be without corrections, frame after frame, and how precisely that was measured. Out: the next
exposure. A short one measures seeing and noise and chases them, a long one lets the mount run away: between them is an
optimum.

For two frames that lie τ apart, the expected square of the motion between them is

    D(τ) = c₁² + c₂² + s² (1/√e₁ + 1/√e₂) + q τ + v² τ²

with the centroids' own errors c, the seeing s² of a 1 s exposure, the mount's random walk q and its drift v. Least
squares over the last frames gives s², q and v². Corrections that were made from one frame and act on the next leave

    error²(e) = c²(e) + s²/√e + q T + v² T²,   T = e + pause,

which is evaluated on a grid of exposures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from .law import Decision, Hold
from .limits import Limits, check_number, permitted
from .measurement import Measurement
from .regulator import Regulated
from .star import StarLaw, fixed_share

_KEPT = 180
"""Frames that are remembered."""
_LAGS = (1, 2, 3, 5, 8, 13)
"""Between the frames that are compared."""
_GRID = 1.1
"""From one exposure that is tried to the next."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What the open-loop motion is made of; both axes together.

    Attributes
    ----------
    seeing_px2 : float
        Variance by the seeing, of a 1 s exposure.
    walk_px2_per_s : float
        Of the mount's random walk.
    drift_px2_per_s2 : float
        Square of its drift.
    """

    seeing_px2: float
    walk_px2_per_s: float
    drift_px2_per_s2: float


@dataclass(frozen=True, slots=True)
class Guided:
    """What the guiding law knows after a frame.

    Attributes
    ----------
    star : Regulated
        Of the star law that keeps the stars from being clipped or lost.
    frames : tuple of (float, float, float, float, float)
        The last frames: middle s, exposure s, open-loop place px, px, variance of the centroid px².
    since_change : int
        Frames since the exposure was last changed.
    motion : Motion or None
        As of the last look.
    """

    star: Regulated = field(default_factory=Regulated)
    frames: tuple[tuple[float, float, float, float, float], ...] = ()
    since_change: int = 0
    motion: Motion | None = None


@dataclass(frozen=True, slots=True)
class GuidingLaw:
    """Chooses the exposure that minimises the guiding error; stars are kept below full well as by the star law.

    Parameters
    ----------
    full_well : float
        Share of the saturation that the star's peak may reach.
    look_every : int
        Frames between one look for a better exposure and the next, and before the first.
    gain : float
        Share of the error that must be gained, or the exposure stays.
    limits : Limits
    """

    name: ClassVar[str] = "guiding"

    full_well: float = 0.8
    look_every: int = 30
    least_gain: float = 0.05
    limits: Limits = field(default_factory=lambda: Limits(min_s=0.2, max_s=10.0, max_step=1.5))

    def __post_init__(self) -> None:
        check_number("full_well", self.full_well, 0.001, 0.9)
        check_number("look_every", self.look_every, 15, _KEPT)
        check_number("least_gain", self.least_gain, 0.0, 1.0)

    def start(self) -> Guided:
        return Guided()

    def step(self, state: Guided, measured: Measurement) -> tuple[Guided, Decision]:
        star, most = StarLaw(full_well=self.full_well, limits=self.limits).step(state.star, measured)
        state = replace(state, star=star, since_change=state.since_change + 1)
        if most.hold is not None or most.clipped:
            return replace(state, since_change=0), most
        if measured.moved_px is not None and math.isfinite(sum(measured.moved_px)) and measured.error_px >= 0:
            frame = (measured.middle_s, measured.exposure_s, *measured.moved_px, measured.error_px**2)
            state = replace(state, frames=(*state.frames, frame)[-_KEPT:])
        best_s, hold, level = measured.exposure_s, None, math.nan
        if state.since_change < self.look_every or len(state.frames) < self.look_every:
            hold = Hold.LEARNING if state.motion is None else None
        else:
            motion = motion_of(state.frames)
            state = replace(state, motion=motion, since_change=0)
            best_s, level = self._best(motion, measured, state.star.pause_s)
        wanted_s = min(best_s, most.exposure_s) if most.level > 1 else best_s
        exposure_s, bound = permitted(self.limits, wanted_s, measured.exposure_s, False)
        if exposure_s != measured.exposure_s:
            state = replace(state, since_change=0)
        return state, Decision(
            exposure_s, hold=hold, level=level, predicted=1.0 if math.isfinite(level) else math.nan, bound=bound
        )

    def _best(self, motion: Motion, measured: Measurement, pause_s: float) -> tuple[float, float]:
        """The exposure with the least error, or that of now where little is to be gained; and the error now over it."""
        n = math.ceil(math.log(self.limits.max_s / self.limits.min_s) / math.log(_GRID))
        grid = np.geomspace(self.limits.min_s, self.limits.max_s, max(n, 2)).tolist()
        errors = [guiding_error_px(motion, measured, exposure_s, pause_s) for exposure_s in grid]
        least = min(errors)
        now = guiding_error_px(motion, measured, measured.exposure_s, pause_s)
        if not now > least * (1 + self.least_gain):
            return measured.exposure_s, 1.0
        return grid[errors.index(least)], now / least


def guiding_error_px(motion: Motion, measured: Measurement, exposure_s: float, pause_s: float) -> float:
    """RMS that guiding with an exposure would leave, both axes together, px."""
    fixed = fixed_share(measured)
    k = exposure_s / measured.exposure_s
    centroid = 2 * measured.error_px**2 * ((1 - fixed) / k + fixed / k**2)
    every_s = exposure_s + pause_s
    return math.sqrt(
        centroid
        + motion.seeing_px2 / math.sqrt(exposure_s)
        + motion.walk_px2_per_s * every_s
        + motion.drift_px2_per_s2 * every_s**2
    )


def motion_of(frames: tuple[tuple[float, float, float, float, float], ...]) -> Motion:
    """Seeing, walk and drift from open-loop places (see `Guided.frames`), at least `max(_LAGS) + 1` of them."""
    from scipy.optimize import nnls  # half a second, and few runs ask

    middle_s, exposure_s, x, y, variance = np.array(frames).T
    rows, moved = [], []
    for lag in _LAGS:
        apart_s = middle_s[lag:] - middle_s[:-lag]
        square = (x[lag:] - x[:-lag]) ** 2 + (y[lag:] - y[:-lag]) ** 2
        square = square - 2 * (variance[lag:] + variance[:-lag])
        seeing = exposure_s[lag:] ** -0.5 + exposure_s[:-lag] ** -0.5
        # a mean for each lag, divided by what it scatters by: about itself
        mean = np.array([seeing.mean(), apart_s.mean(), (apart_s**2).mean()])
        weight = math.sqrt(len(square) / lag) / max(float(np.abs(square).mean()), 1e-12)
        rows.append(mean * weight)
        moved.append(float(square.mean()) * weight)
    found, _ = nnls(np.array(rows), np.array(moved))
    return Motion(*(float(value) for value in found))
