"""How much a measurement counts.

In: its error bar, and those before it. Out: its variance over the usual one, for filters that learn the usual one.
"""

from __future__ import annotations

import math


def weighed(typical: float, error: float | None) -> tuple[float, float]:
    """The usual variance, and how much more this frame has; half of it is seeing, which error bars do not know.

    Parameters
    ----------
    typical : float
        So far; 0 before the first error bar.
    error : float or None
        Standard error of the displacement; None, or anything that is not positive and finite: not known.
    """
    variance = error * error if error is not None and error > 0 else 0.0
    if variance == 0 or not math.isfinite(variance):
        return typical, 1.0
    typical = variance if typical == 0 else typical + 0.02 * (min(variance, 4 * typical) - typical)
    return typical, 0.5 + 0.5 * min(variance / typical, 50.0)
