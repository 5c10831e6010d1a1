"""What is known of a mount's periodic motion.

In: what a night found. Out: the curve for another night, turned to any phase, scaled to any declination.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SURE_TURNS = 2.0  # seen before a curve is worth keeping


@dataclass(frozen=True)
class Worm:
    """What is known of periodic motion.

    Attributes
    ----------
    period_s : float or None
        None before it is found.
    lines_hz : tuple of float
        Lines that are not among the worm's harmonics.
    cosines, sines : tuple of float
        The curve as another night had it, arcsec: amplitudes of the worm's harmonics, turned to no phase in particular;
        empty if this is the first night.
    """

    period_s: float | None = None
    lines_hz: tuple[float, ...] = ()
    cosines: tuple[float, ...] = ()
    sines: tuple[float, ...] = ()

    def taught(self, duration_s: float) -> bool:
        """Whether another night saw more of the worm than this one has in so many seconds."""
        return self.period_s is not None and len(self.cosines) > 0 and duration_s < SURE_TURNS * self.period_s

    @property
    def amplitudes(self) -> FloatArray:
        """Of the harmonics, whatever the phase."""
        return np.hypot(self.cosines, self.sines)

    def turned(self, phase: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Cosines and sines of the curve turned by phases (rad of the worm): arrays (phases, harmonics)."""
        c, s = np.cos(np.outer(phase, self._orders)), np.sin(np.outer(phase, self._orders))
        return c * self.cosines + s * self.sines, c * self.sines - s * self.cosines

    @property
    def _orders(self) -> NDArray[np.int64]:
        return np.arange(1, len(self.cosines) + 1)

    def scaled(self, factor: float) -> Worm:
        """The same with larger or smaller amplitudes: arcs on the sky shrink with cos δ."""
        cosines, sines = (tuple(factor * value for value in values) for values in (self.cosines, self.sines))
        return replace(self, cosines=cosines, sines=sines)
