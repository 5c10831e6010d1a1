"""Our law for Dec: Kalman filters for everything that the gears may be like, and the pulse that suits them all best.

In: displacements. Out: corrections that cross the gap where that is expected to pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms import backlash_filters
from acquisition.guiding.algorithms.backlash_filters import FILTERS, GEARS, Expected
from acquisition.guiding.algorithms.crossing import Crossing
from acquisition.guiding.algorithms.cycle import correction_time, usual_cycle
from acquisition.guiding.algorithms.deafness import Deafness
from acquisition.guiding.algorithms.error_bars import weighed
from acquisition.guiding.algorithms.gears import Gears
from acquisition.guiding.algorithms.law import Dithered, Input, Lost, Measured, Sent, Unit, check_range

if TYPE_CHECKING:
    from acquisition.kernels.kalman_gusts import GustBank

FloatArray = NDArray[np.float64]

_MEMORY = 300.0  # measurements
_WORTH = 0.4  # what crossing must gain, in units of the prediction's variance
_UNLIKELY = 0.01
_DEAF = 30.0, 0.3  # arcsec, arcsec/s: no gap and no drift is as large


class BacklashAwareState(NamedTuple):
    """Everything the law remembers; arcsec and s.

    Attributes
    ----------
    bank : GustBank or None
        Filters, eleven for each hypothesis; None before the first frame.
    gears : Gears
        As each hypothesis has them.
    was_pushed_south : array (hypotheses,)
        The gears' `pushed_south` in the last exposure.
    crossing : Crossing
        What is known of gaps from having crossed them.
    deafness : Deafness
        Whether pulses arrive at all.
    pulses : float
        Their sum since the last measurement.
    pending : float
        The last correction: `Sent` may still say that it was less.
    turned : float
        How far the motor has turned for the one before.
    dragged : float or array (hypotheses,)
        How far that moved the axis.
    crossed : array (hypotheses,)
        What it took to come through a gap since the last measurement, as `Gears.turned` has it.
    lock : float
        How far the lock was moved.
    expected_rms : float or None
        Of the true displacement, by the filters' own account.
    t_s : float
        Middle of the last exposure.
    cycle_s : float
        From one correction to the next, as it usually is.
    typical_variance : float
        Of measurements, by their error bars.
    """

    bank: GustBank | None = None
    gears: Gears = GEARS
    was_pushed_south: FloatArray = GEARS.pushed_south
    crossing: Crossing = Crossing()
    deafness: Deafness = Deafness()
    pulses: float = 0.0
    pending: float = 0.0
    turned: float = 0.0
    dragged: float | FloatArray = 0.0
    crossed: FloatArray = np.zeros_like(GEARS.axis)
    lock: float = 0.0
    expected_rms: float | None = None
    t_s: float = 0.0
    cycle_s: float = 0.0
    typical_variance: float = 0.0


@dataclass(frozen=True)
class BacklashAware:
    """Learns backlash, where in it the gears stand, guide rates, drift and noise; crosses the gap when it pays.

    Parameters
    ----------
    lost_limit : float
        While the star is lost the prediction is followed until its standard deviation exceeds this, arcsec (0 to 60).
    """

    lost_limit: float = 1.5

    name: ClassVar[str] = "backlash-aware"
    unit: ClassVar[Unit] = "arcsec"

    def __post_init__(self) -> None:
        check_range(self.name, "lost_limit", self.lost_limit, 0, 60)

    def start(self) -> BacklashAwareState:
        return BacklashAwareState()

    def step(self, state: BacklashAwareState, given: Input) -> tuple[BacklashAwareState, float]:
        match given:
            case Measured():
                return self._measured(_turned(state), given)
            case Lost(t_s=t_s, now_s=now_s):
                return self._lost(_turned(state), t_s if now_s is None else now_s)
            case Dithered(amount=amount):
                return state._replace(lock=state.lock + amount), 0.0
            case Sent(amount=amount):
                return state._replace(pending=amount), 0.0
            case _:
                return state, 0.0

    def _measured(self, state: BacklashAwareState, given: Measured) -> tuple[BacklashAwareState, float]:
        from acquisition.kernels.kalman_mixture import update_and_predict_gusts

        if given.t_s < state.deafness.t_s:
            return state, 0.0
        heard = state.deafness.after(given.t_s, given.displacement + state.lock, state.pulses, *_DEAF)
        state = state._replace(deafness=heard, pulses=0.0)
        if heard.deaf:
            return _again(state, given.displacement)
        gears = state.gears
        # of a pulse that was still running in the exposure, each hypothesis has moved the axis by an amount of its own
        unseen = given.unseen - given.unseen / state.turned * state.dragged if state.turned else 0.0
        positions = given.displacement + state.lock + gears.axis + unseen
        if state.bank is None:
            bank, dt_s = backlash_filters.new_bank(positions), 0.0
        else:
            bank, dt_s = state.bank.copy(), given.t_s - state.t_s
        typical_variance, weight = weighed(state.typical_variance, given.error)
        state = state._replace(typical_variance=typical_variance)
        now_s = correction_time(given)
        cycle_s = usual_cycle(state.cycle_s, dt_s, now_s - given.t_s + given.exposure_s / 2)
        ahead_s = now_s + cycle_s / 2 - given.t_s
        turned_about = gears.pushed_south != state.was_pushed_south
        bank.p[:, 3, 3] += np.repeat((backlash_filters.REVERSAL_ERROR * turned_about) ** 2, FILTERS)
        measured, table = np.repeat(positions, FILTERS), np.empty((2, len(bank.x)))
        update_and_predict_gusts(
            bank, dt_s, measured, gears.pushed_south, state.crossed, weight, _MEMORY, ahead_s, table
        )
        expected = backlash_filters.expected(bank, gears, *table)
        bank, gears, crossing = _believed(bank, gears, state.crossing, expected)
        state = state._replace(
            bank=bank,
            gears=gears,
            was_pushed_south=gears.pushed_south,
            crossing=crossing,
            crossed=np.zeros_like(state.crossed),
            t_s=given.t_s,
            cycle_s=cycle_s,
        )
        return _corrected(state, expected)

    def _lost(self, state: BacklashAwareState, now_s: float) -> tuple[BacklashAwareState, float]:
        if state.bank is None or now_s < state.t_s:
            return state, 0.0
        expected = _predict(state, now_s)
        if expected.variance > self.lost_limit**2:
            return state, 0.0
        return _corrected(state, _predict(state, now_s + state.cycle_s / 2))


def _again(state: BacklashAwareState, displacement: float) -> tuple[BacklashAwareState, float]:
    """The mount is deaf: what was learned since is wrong. If pulses arrive again, this one does what it should."""
    fresh = BacklashAwareState(lock=state.lock, deafness=state.deafness, typical_variance=state.typical_variance)
    return fresh._replace(pending=displacement, expected_rms=abs(displacement)), displacement


def _believed(bank: GustBank, gears: Gears, crossing: Crossing, expected: Expected) -> tuple[GustBank, Gears, Crossing]:
    """What the filters found of the gears, brought over to them."""
    found = gears.with_more(expected.play, expected.lopsided)
    bank.x[:, 3] -= np.repeat(found.backlash - gears.backlash, FILTERS)
    bank.x[:, 4] -= np.repeat(found.rates[0] - gears.rates[0], FILTERS)
    likeliest = int(np.argmax(expected.shares))
    way = 0 if found.pushed_south[likeliest] else 1
    gap = float(found.backlash[likeliest] / found.rates[way, likeliest])
    return bank, found, crossing.left_behind(gap, way == 0)


def _corrected(state: BacklashAwareState, expected: Expected) -> tuple[BacklashAwareState, float]:
    """Aim at what is predicted for the middle between this correction and the next, through the gap if it pays."""
    from acquisition.kernels.backlash import best_move

    gears, variance = state.gears, expected.variance
    wanted = expected.positions - state.lock - gears.axis
    worth = _WORTH * variance
    move, left = best_move(expected.shares, wanted, gears.axis, gears.backlash, gears.motor, gears.rates, worth)
    correction = state.crossing.limited(move, float(np.abs(wanted[expected.shares > _UNLIKELY]).max()))
    return state._replace(pending=correction, expected_rms=float(np.sqrt(variance + left))), correction


def _turned(state: BacklashAwareState) -> BacklashAwareState:
    """After the last correction: the motor has turned, and drags the axis where the gap is used up."""
    if state.pending == 0:
        return state._replace(turned=0.0)
    gears, crossed = state.gears.turned(state.pending)
    return state._replace(
        gears=gears,
        crossing=state.crossing.after(state.pending),
        pulses=state.pulses + state.pending,
        pending=0.0,
        turned=state.pending,
        dragged=gears.axis - state.gears.axis,
        crossed=state.crossed + crossed,
    )


def _predict(state: BacklashAwareState, t_s: float) -> Expected:
    """What is expected for `t_s`, after the last measurement."""
    from acquisition.kernels.kalman_gusts import predict_gusts

    assert state.bank is not None
    mean, variance = np.empty(len(state.bank.x)), np.empty(len(state.bank.x))
    predict_gusts(state.bank, t_s - state.t_s, mean, variance)
    return backlash_filters.expected(state.bank, state.gears, mean, variance)
