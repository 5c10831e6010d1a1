"""What Dec's gears may be like: hypotheses of how much play they have, and where in it the axis stands.

In: turns of the motor, and how much more play the filters found. Out: where the axis stands, as each hypothesis has it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Gears(NamedTuple):
    """Hypotheses; arcsec, South is positive.

    The axis stands between motor - backlash and motor: the motor drags it where it would be left outside.

    Attributes
    ----------
    backlash : array (n,)
        How much play there is.
    axis : array (n,)
        How far the axis has moved.
    motor : float
        How far the motor has.
    pushed_south : array (n,) of 0 or 1
        1 where the axis was last moved South: with more play it would not have come so far.
    """

    backlash: FloatArray
    axis: FloatArray
    motor: float
    pushed_south: FloatArray

    @classmethod
    def new(cls, backlash: FloatArray, slack: FloatArray) -> Gears:
        """Gears with so much of their play ahead of the first move South."""
        return cls(backlash, slack - backlash, 0.0, np.where(slack < backlash, 1.0, 0.0))

    def turned(self, amount: float) -> Gears:
        """After the motor has turned by `amount`."""
        motor = self.motor + amount
        axis = np.minimum(np.maximum(self.axis, motor - self.backlash), motor)
        pushed_south = np.where(axis == self.axis, self.pushed_south, np.where(axis > self.axis, 1.0, 0.0))
        return Gears(self.backlash, axis, motor, pushed_south)

    def with_more(self, play: FloatArray) -> Gears:
        """The same with so much more play than was believed (n,)."""
        backlash = np.maximum(self.backlash + play, 0.0)
        axis = self.axis - self.pushed_south * (backlash - self.backlash)
        return self._replace(backlash=backlash, axis=np.minimum(np.maximum(axis, self.motor - backlash), self.motor))
