"""How fast light comes and goes: the logarithm of a quantity, its slope, and how sure both are.

In: values of the logarithm at instants. Out: its expected value at a later one, with a standard error.

Three local-linear-trend Kalman filters share the measurements: one for steady light, one for twilight (steady
slopes), one for clouds (slopes that change at once). Each learns its measurement noise; the answer is their mean,
weighted by how well each foretold the last frames. A value that none can explain begins anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_WALKS = (
    # variance that level (1/s) and slope (1/s³) gain per second; standard deviation of the first slope, 1/s
    (1e-6, 1e-12, 2e-4),
    (1e-7, 1e-9, 5e-3),
    (1e-4, 3e-4, 3e-2),
)
_NOISE_SHAPE, _FIRST_NOISE = 2.0, 0.02
_LEAST_NOISE = 0.003
_NOISE_MEMORY = 60.0  # frames
_SCORE_MEMORY = 12.0
_LONGEST_S = 1e4  # between values; later ones count as if they came then
_SURPRISE = 4.0  # standard deviations of the most tolerant filter ...
_LEAST_SURPRISE = 0.1  # ... and so much of the logarithm, at least


@dataclass(frozen=True, slots=True)
class _Filter:
    """One hypothesis: level x, slope v, their covariance, the noise's variance as scale/shape, its score."""

    x: float
    v: float
    xx: float
    xv: float
    vv: float
    shape: float
    scale: float
    score: float

    @property
    def noise(self) -> float:
        """Variance of a measurement."""
        return max(self.scale / self.shape, _LEAST_NOISE**2)

    def after(self, dt_s: float, walk: tuple[float, float, float]) -> _Filter:
        q_x, q_v, _ = walk
        return replace(
            self,
            x=self.x + dt_s * self.v,
            xx=self.xx + 2 * dt_s * self.xv + dt_s**2 * self.vv + q_x * dt_s + q_v * dt_s**3 / 3,
            xv=self.xv + dt_s * self.vv + q_v * dt_s**2 / 2,
            vv=self.vv + q_v * dt_s,
        )

    def learnt(self, x: float, error: float) -> _Filter:
        variance = self.xx + self.noise + error**2
        surprise = x - self.x
        squared = surprise**2 / variance
        gain_x, gain_v = self.xx / variance, self.xv / variance
        forget = 1 - 1 / _NOISE_MEMORY
        return _Filter(
            self.x + gain_x * surprise,
            self.v + gain_v * surprise,
            self.xx - gain_x * self.xx,
            self.xv - gain_x * self.xv,
            self.vv - gain_v * self.xv,
            forget * self.shape + 0.5,
            forget * self.scale + 0.5 * self.noise * min(squared, 6.0),
            (1 - 1 / _SCORE_MEMORY) * self.score - 0.5 * math.log(variance) - 3 * math.log1p(squared / 5),
        )


@dataclass(frozen=True, slots=True)
class Trend:
    """What is known of a logarithm at the time of its last value; begun by `begin`, continued by `learn`."""

    t_s: float
    filters: tuple[_Filter, ...]
    frames: int = 1

    @classmethod
    def begin(cls, t_s: float, x: float, error: float = 0.0, noise: float = _FIRST_NOISE) -> Trend:
        """From a first value.

        Parameters
        ----------
        t_s, x : float
        error : float
            Standard error of this value beside what the light's own noise makes.
        noise : float
            Standard deviation that values may be expected to have until more is known.
        """
        scale, variance = _NOISE_SHAPE * noise**2, noise**2 + error**2
        return cls(
            t_s, tuple(_Filter(x, 0.0, variance, 0.0, slope**2, _NOISE_SHAPE, scale, 0.0) for _, _, slope in _WALKS)
        )

    def learn(self, t_s: float, x: float, error: float = 0.0) -> Trend:
        """With another value; values that come at the same instant or before the last count as simultaneous."""
        dt_s = min(max(t_s - self.t_s, 0.0), _LONGEST_S)
        before = [one.after(dt_s, walk) for one, walk in zip(self.filters, _WALKS, strict=True)]
        tolerant = min(before, key=lambda one: (x - one.x) ** 2 / (one.xx + one.noise + error**2))
        surprise = abs(x - tolerant.x)
        if surprise > max(_SURPRISE * math.sqrt(tolerant.xx + tolerant.noise + error**2), _LEAST_SURPRISE):
            return Trend.begin(t_s, x, error, min(math.sqrt(tolerant.noise), 0.2))
        return Trend(max(t_s, self.t_s), tuple(one.learnt(x, error) for one in before), self.frames + 1)

    def at(self, t_s: float) -> tuple[float, float]:
        """The value to expect at an instant, and its standard error (without a measurement's own noise)."""
        dt_s = min(max(t_s - self.t_s, 0.0), _LONGEST_S)
        later = [one.after(dt_s, walk) for one, walk in zip(self.filters, _WALKS, strict=True)]
        best = max(one.score for one in self.filters)
        weights = [math.exp(one.score - best) for one in self.filters]
        total = sum(weights)
        mean = sum(w * one.x for w, one in zip(weights, later, strict=True)) / total
        variance = sum(w * (one.xx + (one.x - mean) ** 2) for w, one in zip(weights, later, strict=True)) / total
        return mean, math.sqrt(variance)
