"""When has the star settled after a dither? PHD2's rule, as a pure step.

In: the distance from the lock, frame by frame. Out: settled, still settling, or timed out.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace

_SMOOTHING = 0.3  # PHD2's weight of the newest distance


class Outcome(enum.Enum):
    SETTLING = "settling"
    SETTLED = "settled"
    TIMED_OUT = "timed-out waiting for guider to settle"


@dataclass(frozen=True, slots=True)
class SettleRule:
    """In range means: the smoothed distance is at most `pixels`; it must stay so for `time_s`, before `timeout_s`.

    `exposure_s`: exposures while settling, where they are shorter than usual; None: as usual.
    """

    pixels: float = 1.5
    time_s: float = 6.0
    timeout_s: float = 60.0
    exposure_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("pixels", "time_s", "timeout_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"settle: {name} is {value}; allowed: above 0")
        if self.exposure_s is not None and not 0 < self.exposure_s < math.inf:
            raise ValueError(f"settle: exposure_s is {self.exposure_s}; allowed: above 0")


@dataclass(frozen=True, slots=True)
class SettleState:
    """Began at `began_s`; in range since `in_range_since_s` (None: it is not)."""

    began_s: float
    distance_px: float | None = None
    in_range_since_s: float | None = None


def settle_step(
    rule: SettleRule, state: SettleState, t_s: float, distance_px: float | None
) -> tuple[SettleState, Outcome]:
    """One frame at time `t_s`, `distance_px` from the lock (None: star lost, which is out of range)."""
    if distance_px is None:
        state = replace(state, in_range_since_s=None)
    else:
        before = state.distance_px
        smooth = distance_px if before is None else before + _SMOOTHING * (distance_px - before)
        since = state.in_range_since_s if state.in_range_since_s is not None else t_s
        state = replace(state, distance_px=smooth, in_range_since_s=since if smooth <= rule.pixels else None)
        if state.in_range_since_s is not None and t_s - state.in_range_since_s >= rule.time_s:
            return state, Outcome.SETTLED
    if t_s - state.began_s >= rule.timeout_s:
        return state, Outcome.TIMED_OUT
    return state, Outcome.SETTLING
