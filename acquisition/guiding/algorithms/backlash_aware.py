"""Our law for Dec: Kalman filters for every backlash that the gears may have, and the pulse that suits them all best.

In: displacements. Out: corrections that cross the gap where that is expected to pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms.cycle import correction_time, usual_cycle
from acquisition.guiding.algorithms.error_bars import weighed
from acquisition.guiding.algorithms.gears import Gears
from acquisition.guiding.algorithms.law import Dithered, Input, Lost, Measured, Sent, Unit, check_range

if TYPE_CHECKING:
    from acquisition.kernels.kalman_gusts import GustBank

FloatArray = NDArray[np.float64]

_BACKLASH = np.array([0, 0.4, 0.8, 1.3, 2, 3, 4, 5, 6.5, 8, 10, 13, 16, 20, 25])
_WALKS = [(0, 1e-8), (1e-4, 1e-7), (1e-3, 1e-7), (0.01, 1e-6), (0.05, 1e-5), (0.3, 1e-5), (1.5, 1e-4)]
_GUSTY_WALKS = [(1e-3, 1e-7), (0.01, 1e-7)]
_GUSTS = [(2.5, 2.0), (2.5, 8.0)]
_MEMORY = 300.0
_WORTH = 0.25  # what crossing must gain, in units of the prediction's variance

_GEARS = Gears.new(
    np.concatenate([_BACKLASH, _BACKLASH[1:]]), np.concatenate([_BACKLASH, np.zeros(len(_BACKLASH) - 1)])
)
"""Every backlash twice: all of it ahead of the first South pulse, or none."""
_PLAY_ERROR = np.interp(_GEARS.backlash, _BACKLASH, np.gradient(_BACKLASH) / 12**0.5) * (_GEARS.backlash > 0)
"""Standard deviation of what lies between one backlash and the next."""
_REVERSAL_ERROR = 0.1 * (_GEARS.backlash > 0)
"""Standard deviation of what one reversal adds to that: friction, balance, another side of the pier."""
_FILTER_WALKS = np.array(_WALKS + [walk for walk in _GUSTY_WALKS for _ in _GUSTS])
_FILTER_GUSTS = np.array([(1.0, 0.0)] * len(_WALKS) + _GUSTS * len(_GUSTY_WALKS))
_FILTERS = len(_FILTER_WALKS)
_PER_ARCSEC = -1.0
"""What an arcsec more of backlash adds to a score. While gears keep to one side nothing tells gaps apart: a star that
is guided well stays where it is, as if a large gap kept every pulse from it. Gaps that are there show at every
reversal."""


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
    pending : float
        The last correction: `Sent` may still say that it was less.
    turned : float
        How far the motor has turned for the one before.
    dragged : float or array (hypotheses,)
        How far that moved the axis.
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
    gears: Gears = _GEARS
    was_pushed_south: FloatArray = _GEARS.pushed_south
    pending: float = 0.0
    turned: float = 0.0
    dragged: float | FloatArray = 0.0
    lock: float = 0.0
    expected_rms: float | None = None
    t_s: float = 0.0
    cycle_s: float = 0.0
    typical_variance: float = 0.0


@dataclass(frozen=True)
class BacklashAware:
    """Learns how much backlash there is, where in it the gears stand, and drift and noise; crosses it when it pays.

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
        from acquisition.kernels import kalman_gusts, kalman_mixture

        gears = state.gears
        # of a pulse that was still running in the exposure, each hypothesis has moved the axis by an amount of its own
        unseen = given.unseen - given.unseen / state.turned * state.dragged if state.turned else 0.0
        positions = np.repeat(given.displacement + state.lock + gears.axis + unseen, _FILTERS)
        if state.bank is None:
            bank, dt_s = kalman_gusts.new_gust_bank(_FILTER_WALKS, _FILTER_GUSTS, positions, 0.02, _PLAY_ERROR), 0.0
        else:
            bank, dt_s = state.bank.copy(), given.t_s - state.t_s
        typical_variance, weight = weighed(state.typical_variance, given.error)
        state = state._replace(typical_variance=typical_variance)
        if dt_s < 0:
            return state, 0.0
        now_s = correction_time(given)
        cycle_s = usual_cycle(state.cycle_s, dt_s, now_s - given.t_s + given.exposure_s / 2)
        table = np.empty((2, len(bank.x)))
        ahead_s = now_s + cycle_s / 2 - given.t_s
        turned_about = gears.pushed_south != state.was_pushed_south
        bank.p[:, 3, 3] += np.repeat(_REVERSAL_ERROR**2 * turned_about, _FILTERS)
        kalman_mixture.update_and_predict_gusts(
            bank, dt_s, positions, gears.pushed_south, weight, _MEMORY, ahead_s, table
        )
        expected = _agreed(bank, gears, *table)
        found = gears.with_more(expected.play)
        bank.x[:, 3] -= np.repeat(found.backlash - gears.backlash, _FILTERS)
        state = state._replace(
            bank=bank,
            gears=found,
            was_pushed_south=gears.pushed_south,
            t_s=given.t_s,
            cycle_s=cycle_s,
        )
        return _corrected(state, expected)

    def _lost(self, state: BacklashAwareState, now_s: float) -> tuple[BacklashAwareState, float]:
        if state.bank is None or now_s < state.t_s or _predict(state, now_s).variance > self.lost_limit**2:
            return state, 0.0
        return _corrected(state, _predict(state, now_s + state.cycle_s / 2))


class Expected(NamedTuple):
    """What the filters expect.

    Attributes
    ----------
    shares : array (hypotheses,)
        How likely each is.
    positions : array (hypotheses,)
        Without corrections.
    play : array (hypotheses,)
        How much more play there is than was believed.
    variance : float
        Of the position, the mean over all filters.
    """

    shares: FloatArray
    positions: FloatArray
    play: FloatArray
    variance: float


def _corrected(state: BacklashAwareState, expected: Expected) -> tuple[BacklashAwareState, float]:
    """Aim at what is predicted for the middle between this correction and the next, through the gap if it pays."""
    from acquisition.kernels.backlash import best_move

    shares, positions, _, variance = expected
    backlash, axis, motor, _ = state.gears
    correction, left = best_move(shares, positions - state.lock - axis, axis, backlash, motor, _WORTH * variance)
    return state._replace(pending=correction, expected_rms=float(np.sqrt(variance + left))), correction


def _turned(state: BacklashAwareState) -> BacklashAwareState:
    """After the last correction: the motor has turned, and drags the axis where the gap is used up."""
    if state.pending == 0:
        return state._replace(turned=0.0)
    gears = state.gears.turned(state.pending)
    return state._replace(gears=gears, pending=0.0, turned=state.pending, dragged=gears.axis - state.gears.axis)


def _predict(state: BacklashAwareState, t_s: float) -> Expected:
    """What is expected for `t_s`, after the last measurement."""
    from acquisition.kernels.kalman_gusts import predict_gusts

    assert state.bank is not None
    mean, variance = np.empty(len(state.bank.x)), np.empty(len(state.bank.x))
    predict_gusts(state.bank, t_s - state.t_s, mean, variance)
    return _agreed(state.bank, state.gears, mean, variance)


def _agreed(bank: GustBank, gears: Gears, means: FloatArray, variances: FloatArray) -> Expected:
    """What filters expect, made one expectation for each hypothesis."""
    from acquisition.kernels.kalman_mixture import groups

    scores = bank.score + np.repeat(_PER_ARCSEC * gears.backlash, _FILTERS)
    shares, positions, variance = groups(scores, means, variances, _FILTERS)
    _, play, _ = groups(scores, bank.x[:, 3].copy(), variances, _FILTERS)
    return Expected(shares, positions, play, variance)
