"""What Dec's gears may be like: how much play they have, how far pulses turn them, and where in it the axis stands.

In: turns of the motor, and what more the filters found. Out: where the axis stands, as each hypothesis has it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_LEAST_PLAY = -3.0
_MOST_LOPSIDED = 0.3


class Gears(NamedTuple):
    """Hypotheses; arcsec, South is positive.

    The axis stands between motor - backlash and motor: the motor drags it where it would be left outside. Firmware that
    compensates for more backlash than there is leaves a negative one: the axis leaps by as much at a reversal.

    Attributes
    ----------
    backlash : array (n,)
        How much play there is.
    axis : array (n,)
        How far the axis has moved.
    motor : array (n,)
        How far the motor has.
    pushed_south : array (n,) of 0 or 1
        1 where the axis was last moved South: with more play it would not have come so far.
    rates : array (2, n)
        How far the motor turns of an arcsec South and North that it is asked for.
    idle : array (n,)
        What it was asked for, either way, since the axis last moved.
    """

    backlash: FloatArray
    axis: FloatArray
    motor: FloatArray
    pushed_south: FloatArray
    rates: FloatArray
    idle: FloatArray

    @classmethod
    def new(cls, backlash: FloatArray, slack: FloatArray) -> Gears:
        """Gears with so much of their play ahead of the first move South."""
        south, none = np.where(slack < backlash, 1.0, 0.0), np.zeros(len(backlash))
        return cls(backlash, slack - backlash, none, south, np.ones((2, len(backlash))), none)

    def turned(self, amount: float) -> tuple[Gears, FloatArray]:
        """After the motor was asked for `amount`.

        Returns
        -------
        gears : Gears
        crossed : array (n,)
            What the motor was asked for, either way, to come through a gap that it has now left behind; 0 if none.
        """
        way = 0 if amount > 0 else 1
        motor = self.motor + amount * self.rates[way]
        axis = np.maximum(self.axis, motor - self.backlash) if amount > 0 else np.minimum(self.axis, motor)
        moved = axis != self.axis
        idle = self.idle + abs(amount)
        pushed_south = np.where(moved, 1.0 - way, self.pushed_south)
        gears = self._replace(axis=axis, motor=motor, pushed_south=pushed_south, idle=np.where(moved, 0.0, idle))
        crossed = idle - np.abs(axis - self.axis) / np.where(moved, self.rates[way], 1.0)
        return gears, np.where(moved, crossed, 0.0)

    def with_more(self, play: FloatArray, lopsided: FloatArray) -> Gears:
        """The same with so much more play, so much a larger rate South and smaller one North than was believed."""
        backlash = np.maximum(self.backlash + play, _LEAST_PLAY)
        axis = self.axis - self.pushed_south * (backlash - self.backlash)
        south = np.clip(self.rates[0] + lopsided, 1 - _MOST_LOPSIDED, 1 + _MOST_LOPSIDED)
        rates = np.stack([south, 2 - south])
        motor = self.motor + (rates[0] - self.rates[0]) * self.idle
        ends = motor - backlash, motor
        axis = np.minimum(np.maximum(axis, np.minimum(*ends)), np.maximum(*ends))
        return self._replace(backlash=backlash, axis=axis, motor=motor, rates=rates)
