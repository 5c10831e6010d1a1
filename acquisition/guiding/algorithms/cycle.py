"""The rhythm of corrections: a correction holds until the next one, so it aims at the middle between the two."""

from __future__ import annotations

from acquisition.guiding.algorithms.law import Measured


def correction_time(given: Measured) -> float:
    """When the correction begins."""
    return given.t_s + given.exposure_s / 2 if given.now_s is None else given.now_s


def usual_cycle(cycle_s: float, dt_s: float, first_s: float) -> float:
    """From one correction to the next, s: a running mean that a pause or a lost frame hardly changes.

    Parameters
    ----------
    cycle_s : float
        So far; 0 before the second frame.
    dt_s : float
        From the last frame to this one.
    first_s : float
        What to take before there are two frames.
    """
    if cycle_s == 0 or dt_s == 0:
        return first_s
    return cycle_s + 0.2 * (min(dt_s, 2 * cycle_s) - cycle_s)
