"""Cools and warms a sensor gently: the set point follows a ramp.

In: the goal and the time. Out: whole degrees for the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

WARM_C = 20.0
"""Where a ramp up ends, and the cooler may be switched off."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """From one temperature to another at a constant rate.

    Attributes
    ----------
    start_c, goal_c : float
    began_s : float
        On whatever clock `setpoint_c` is asked with.
    rate_c_per_min : float
    """

    start_c: float
    goal_c: float
    began_s: float
    rate_c_per_min: float

    def setpoint_c(self, now_s: float) -> int:
        """The set point now; never beyond the goal."""
        done_c = self.rate_c_per_min / 60 * max(now_s - self.began_s, 0.0)
        if abs(self.goal_c - self.start_c) <= done_c:
            return round(self.goal_c)
        if self.goal_c < self.start_c:
            return math.ceil(self.start_c - done_c)
        return math.floor(self.start_c + done_c)

    def ended(self, now_s: float) -> bool:
        """Whether the set point is the goal."""
        return self.setpoint_c(now_s) == round(self.goal_c)
