"""A brightness that twinkles, stays for long, and then changes at once: a star's.

In: values of its logarithm at instants. Out: its expected value, with a standard error.

Values are averaged with weights that let old ones go (a local-level Kalman filter), and their noise is learned. A value
that the noise cannot explain, or a run of values on one side (a two-sided CUSUM, Page 1954), begins a new average: a
cloud's edge is followed from frame to frame, and never extrapolated, because it ends as suddenly as it began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_WALK = 1e-6
"""Variance of the level's slow change, per second."""
_FIRST_NOISE, _LEAST_NOISE, _MOST_NOISE = 0.1, 0.01, 0.2
_NOISE_FRAMES = 40.0
_JUMP = 3.5
"""Standard deviations that one value may be off ..."""
_SLACK, _RUN = 0.7, 4.0
"""... and the CUSUM's slack and limit for a run of them."""


@dataclass(frozen=True, slots=True)
class Steady:
    """What is known of a logarithm after its last value.

    Attributes
    ----------
    t_s : float
        Of the last value.
    x, variance : float
        The average, and its variance.
    noise : float
        Variance of a single value.
    frames : int
        That the noise rests on.
    above, below : float
        The CUSUM.
    """

    t_s: float
    x: float
    variance: float
    noise: float = _FIRST_NOISE**2
    frames: int = 1
    above: float = 0.0
    below: float = 0.0

    @classmethod
    def begin(cls, t_s: float, x: float, error: float = 0.0) -> Steady:
        """From a first value, with its standard error beside what the light's own noise makes."""
        return cls(t_s, x, _FIRST_NOISE**2 + error**2)

    def learn(self, t_s: float, x: float, error: float = 0.0) -> Steady:
        """With another value; one that comes at the same instant or before the last counts as simultaneous."""
        predicted = self.variance + _WALK * max(t_s - self.t_s, 0.0)
        total = predicted + self.noise + error**2
        z = (x - self.x) / math.sqrt(total)
        above, below = max(0.0, self.above + z - _SLACK), max(0.0, self.below - z - _SLACK)
        if abs(z) > _JUMP or max(above, below) > _RUN:
            return replace(
                self, t_s=max(t_s, self.t_s), x=x, variance=4.0 * self.noise + error**2, above=0.0, below=0.0
            )
        share = predicted / total
        frames = self.frames + 1
        noise = self.noise + (min(z * z, 6.0) - 1.0) * self.noise / min(frames + 4.0, _NOISE_FRAMES)
        noise = min(max(noise, _LEAST_NOISE**2), _MOST_NOISE**2)
        return Steady(
            max(t_s, self.t_s), self.x + share * (x - self.x), predicted * (1 - share), noise, frames, above, below
        )

    def at(self, t_s: float) -> tuple[float, float]:
        """The value to expect at an instant, and its standard error (without a single value's noise)."""
        return self.x, math.sqrt(self.variance + _WALK * max(t_s - self.t_s, 0.0))
