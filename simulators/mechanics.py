"""Where the telescope truly points: motors, backlash, and what the mount does wrong by itself.

In: rates that are set on the axes at certain times. Out: pointing and pointing error at any time since.

Axis coordinates are those of the pointing: RA (of hour angle) positive east, Dec positive north, arcsec. A telescope
that points too far east sees its stars too far west, which a West pulse removes: the guider's signs.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from operator import itemgetter

import numpy as np

from acquisition.kernels.compiled import compiled
from acquisition.mount import Direction

from .disturbance import Motion, true_backlash_arcsec
from .pointing import AltAzAxes
from .process import Floats
from .setup import MountSpec
from .streams import Subject, generator

SIDEREAL_ARCSEC_PER_S = 15.041067
HISTORY_S = 8000.0
"""How far back a position can be asked for: longer than the longest exposure."""


class Motor:
    """A motor that runs at piecewise constant rate, and the axis that it drives through play and against stiction.

    The gear follows the motor as ``gear = min(max(gear, motor - play/2), motor + play/2)``. The axis stands still
    until it lags behind the gear by the stiction, and then catches up at once.
    """

    def __init__(self, start_arcsec: float = 0.0, play_arcsec: float = 0.0, stiction_arcsec: float = 0.0) -> None:
        self.play_arcsec = play_arcsec
        self.stiction_arcsec = stiction_arcsec
        self._knots = [
            (0.0, start_arcsec, start_arcsec, start_arcsec, 0.0)
        ]  # time, motor, gear, axis, rate from then on

    @property
    def rate_arcsec_per_s(self) -> float:
        return self._knots[-1][4]

    def set_rate(self, now_s: float, arcsec_per_s: float) -> None:
        """Run at this rate from an instant on, whatever it was told to do later."""
        self._knot(now_s, *self._now(now_s), arcsec_per_s)

    def jump(self, now_s: float, arcsec: float) -> None:
        """Be somewhere else at once."""
        self._knot(now_s, arcsec, arcsec, arcsec, self.rate_arcsec_per_s)

    @property
    def changed_s(self) -> float:
        """The last instant for which it was told anything."""
        return self._knots[-1][0]

    def at(self, times_s: Floats) -> Floats:
        """Axis position at the given ascending times, arcsec."""
        axis = np.zeros(len(times_s))
        self.carry(times_s, axis)
        return axis

    def at_time(self, time_s: float) -> float:
        """Axis position at one time, arcsec."""
        return self._now(time_s)[2]

    def carry(self, times_s: Floats, pointing: Floats) -> None:
        """Add the axis position at ascending times to a pointing, arcsec."""
        first = max(bisect_right(self._knots, times_s[0], key=_TIME) - 1, 0)
        last = max(bisect_right(self._knots, times_s[-1], key=_TIME), first + 1)
        _carry(np.array(self._knots[first:last]), times_s, self.play_arcsec / 2, self.stiction_arcsec, pointing)

    def _now(self, now_s: float) -> tuple[float, float, float]:
        """Positions of motor, gear and axis."""
        knot = self._knots[max(bisect_right(self._knots, now_s, key=_TIME) - 1, 0)]
        return _driven(*knot, now_s, self.play_arcsec / 2, self.stiction_arcsec)

    def _knot(self, now_s: float, motor: float, gear: float, axis: float, rate: float) -> None:
        del self._knots[bisect_right(self._knots, now_s, key=_TIME) :]
        self._knots.append((now_s, motor, gear, axis, rate))
        old = bisect_right(self._knots, now_s - HISTORY_S, key=_TIME) - 1
        if old > 0:
            del self._knots[:old]


_TIME = itemgetter(0)


def _driven(
    knot_s: float, motor: float, gear: float, axis: float, rate: float, time_s: float, half_play: float, stiction: float
) -> tuple[float, float, float]:
    """Motor, gear and axis some time after a knot; see `Motor`."""
    motor += rate * (time_s - knot_s)
    gear = min(max(gear, motor - half_play), motor + half_play)
    if stiction > 0:  # between two knots the gear goes one way, so the axis follows in whole steps
        return motor, gear, axis + stiction * math.trunc((gear - axis) / stiction)
    return motor, gear, gear


_driven_fast = compiled(_driven)


@compiled
def _carry(knots: Floats, times_s: Floats, half_play: float, stiction: float, pointing: Floats) -> None:
    """Add the axis at ascending times, from the knots that they need."""
    knot = 0
    for n in range(times_s.shape[0]):
        while knot + 1 < knots.shape[0] and knots[knot + 1, 0] <= times_s[n]:
            knot += 1
        now, motor, gear, axis, rate = knots[knot]
        pointing[n] += _driven_fast(now, motor, gear, axis, rate, times_s[n], half_play, stiction)[2]


class Mechanics:
    """The mount itself: four motors, and the state that every connection to it sees.

    `aim` is where slews and tracking put the telescope, `guide` what pulses added.
    """

    def __init__(self, spec: MountSpec, motion: Motion, seed: int, ra_deg: float, dec_deg: float) -> None:
        self.spec = spec
        self.motion = motion
        self.aim_ra = Motor(ra_deg * 3600)
        self.aim_dec = Motor(dec_deg * 3600)
        self.guide_ra = Motor()
        self.guide_dec = Motor(play_arcsec=true_backlash_arcsec(spec, seed), stiction_arcsec=spec.stiction_dec_arcsec)
        self.target_arcsec = ra_deg * 3600, dec_deg * 3600
        self.arrived_s = 0.0  # there
        self.beyond_meridian = False  # the side on which it is: until the meridian west of the pier
        self.flipped = False  # against the west side
        self._start_arcsec = ra_deg * 3600
        error = generator(seed, Subject.GUIDE_RATE).uniform(-spec.guide_rate_error, spec.guide_rate_error, 2)
        self._true_guide_rates = spec.guide_rate_arcsec_per_s * (1 + error)
        self.tracking = True
        self.parked = False
        self.slewing = False
        self.pulsing: set[Motor] = set()
        self.sync_offset_deg = 0.0, 0.0  # what the mount says minus where it was aimed
        self.shifted_deg = 0.0, 0.0  # by offsets, of which it says nothing; until the next slew

    def guide_motor(self, direction: Direction) -> tuple[Motor, float]:
        """The motor that a pulse runs, and its true signed rate, arcsec/s."""
        if direction in (Direction.EAST, Direction.WEST):
            sign = 1 if direction is Direction.EAST else -1
            return self.guide_ra, sign * float(self._true_guide_rates[0])
        sign = 1 if direction is Direction.NORTH else -1
        if self.flipped and not self.spec.pulses_know_pier:
            sign = -sign
        return self.guide_dec, sign * float(self._true_guide_rates[1])

    def track(self, now_s: float, on: bool) -> None:
        """Follow the stars, or stand still: then the pointing runs east through them."""
        self.tracking = on
        self.aim_ra.set_rate(now_s, 0.0 if on else SIDEREAL_ARCSEC_PER_S)

    def start_slew(self, now_s: float, turn_ra_deg: float, turn_dec_deg: float, duration_s: float) -> None:
        """Drive both axes to a place that is so far away."""
        ra, dec = self.aim_ra.at_time(now_s), self.aim_dec.at_time(now_s)
        self.target_arcsec = ra + turn_ra_deg * 3600, dec + turn_dec_deg * 3600
        self.slewing = True
        if duration_s > 0:
            self.aim_ra.set_rate(now_s, turn_ra_deg * 3600 / duration_s)
            self.aim_dec.set_rate(now_s, turn_dec_deg * 3600 / duration_s)

    def end_slew(self, now_s: float, arrived: bool) -> None:
        """Stop both axes, exactly at the target when they arrived, and follow the stars."""
        if arrived:
            self.aim_ra.jump(now_s, self.target_arcsec[0])
            self.aim_dec.jump(now_s, self.target_arcsec[1])
        self.aim_dec.set_rate(now_s, 0.0)
        self.track(now_s, True)
        self.target_arcsec = self.aim_ra.at_time(now_s), self.aim_dec.at_time(now_s)
        self.slewing = False

    def set_side(self, beyond_meridian: bool) -> None:
        """Be on this side of the pier, where there is one; changing it turns the telescope over."""
        if self.spec.alt_az:
            return
        self.flipped ^= beyond_meridian != self.beyond_meridian
        self.beyond_meridian = beyond_meridian

    def pointing_arcsec(self, times_s: Floats, axes: AltAzAxes | None = None) -> tuple[Floats, Floats]:
        """Pointing without `slow_error` (RA, Dec; ICRS arcsec, RA not reduced to a turn) at ascending times.

        `axes` are an alt-azimuth mount's at these times.
        """
        motors = self.aim_ra.at(times_s)
        self.guide_ra.carry(times_s, motors)
        # the worm turns as the hour angle's axis does
        ra, dec = self.motion.at(times_s, times_s - (motors - self._start_arcsec) / SIDEREAL_ARCSEC_PER_S)
        if axes is not None and not self.spec.pulses_on_sky:
            self.guide_ra.carry(times_s, ra)
            self.guide_dec.carry(times_s, dec)
            ra, dec = axes.to_sky(ra, dec)
            self.aim_ra.carry(times_s, ra)
            self.aim_dec.carry(times_s, dec)
            return ra, dec
        if axes is not None:
            ra, dec = axes.to_sky(ra, dec)
        ra += motors
        self.aim_dec.carry(times_s, dec)
        self.guide_dec.carry(times_s, dec)
        return ra, dec

    def said_deg(self, now_s: float) -> tuple[float, float]:
        """Where the mount believes to point."""
        ra = self.aim_ra.at_time(now_s) / 3600 + self.sync_offset_deg[0] - self.shifted_deg[0]
        dec = self.aim_dec.at_time(now_s) / 3600 + self.sync_offset_deg[1] - self.shifted_deg[1]
        return ra % 360.0, dec


def shortest_turn_deg(start_deg: float, end_deg: float) -> float:
    """Signed angle from one to the other, within ±180."""
    return math.remainder(end_deg - start_deg, 360.0)
