"""How far Dec's motor may turn at once into a gap that nobody has measured.

In: turns of the motor, and the gap where the axis moved again. Out: the longest turn that is no gamble.

What nobody moved looks like a large gap: pulses that never arrived, a clutch. Whoever believes in it and crosses it at
the next reversal throws the star by as much.
"""

from __future__ import annotations

from typing import NamedTuple

_STEP = 2.0  # arcsec


class Crossing(NamedTuple):
    """What is known of gaps from having crossed them; arcsec, South is positive.

    Attributes
    ----------
    turned : float
        How far the motor has turned since its last reversal.
    south, north : float
        The largest gap that was left behind in each direction.
    """

    turned: float = 0.0
    south: float = 0.0
    north: float = 0.0

    def after(self, amount: float) -> Crossing:
        """After the motor has turned by `amount`."""
        return self._replace(turned=amount + (self.turned if self.turned * amount > 0 else 0.0))

    def left_behind(self, gap: float, south: bool) -> Crossing:
        """As `gap` is how much the motor had to turn in that direction before the axis followed."""
        if south != (self.turned > 0):
            return self
        gap = min(gap, abs(self.turned))
        return self._replace(south=max(self.south, gap)) if south else self._replace(north=max(self.north, gap))

    def limited(self, amount: float, wanted: float) -> float:
        """`amount`, or what is wanted of the axis, the gap as it was crossed in both directions, and a step."""
        known = min(self.south, self.north) - (abs(self.turned) if amount * self.turned > 0 else 0.0)
        most = wanted + max(known, 0.0) + _STEP
        return max(-most, min(amount, most))
