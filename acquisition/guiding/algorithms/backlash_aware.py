"""Our law for Dec: Kalman filters for every backlash that the gears may have, and pulses that cross it on purpose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms.cycle import correction_time, usual_cycle
from acquisition.guiding.algorithms.law import Dithered, Input, Lost, Measured, Sent, Unit, check_range

if TYPE_CHECKING:
    from acquisition.kernels.kalman_bank import Bank

FloatArray = NDArray[np.float64]

_BACKLASH = np.array([0, 0.4, 0.8, 1.3, 2, 3, 4, 5, 6.5, 8, 10])
_WALKS = np.array([(0, 1e-8), (1e-4, 1e-7), (1e-3, 1e-7), (0.01, 1e-6), (0.05, 1e-5), (0.3, 1e-5), (1.5, 1e-4)])
_MEMORY = 300.0
_SMALL_GAP = 0.05
_CROSSED = 0.8  # share of a gap that is crossed at once; the rest shows whether the hypothesis is right

_HYPOTHESES = np.concatenate([_BACKLASH, _BACKLASH[1:]])
"""Every backlash twice: all of it ahead of the first South pulse, or none."""
_SLACK = np.concatenate([_BACKLASH, np.zeros(len(_BACKLASH) - 1)])


class BacklashAwareState(NamedTuple):
    """Everything the law remembers; arcsec and s.

    Attributes
    ----------
    bank : Bank or None
        Trend filters, seven for each hypothesis; None before the first frame.
    axis : array (hypotheses,)
        How far the axis has moved South, as each hypothesis has it.
    motor : float
        How far the motor has.
    pending : float
        The last correction: `Sent` may still say that it was less.
    turned : float
        How far the motor has turned for the one before.
    dragged : float or array (hypotheses,)
        How far that moved the axis.
    lock : float
        How far the lock was moved.
    expected_rms : float or None
        Of the true displacement, by the likeliest filters' own account.
    t_s : float
        Middle of the last exposure.
    cycle_s : float
        From one correction to the next, as it usually is.
    """

    bank: Bank | None = None
    axis: FloatArray | None = None
    motor: float = 0.0
    pending: float = 0.0
    turned: float = 0.0
    dragged: float | FloatArray = 0.0
    lock: float = 0.0
    expected_rms: float | None = None
    t_s: float = 0.0
    cycle_s: float = 0.0


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
        return BacklashAwareState(axis=_SLACK - _HYPOTHESES)

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
        from acquisition.kernels import kalman_bank, kalman_mixture

        assert state.axis is not None
        # of a pulse that was still running in the exposure, each hypothesis has moved the axis by an amount of its own
        unseen = given.unseen - given.unseen / state.turned * state.dragged if state.turned else 0.0
        positions = np.repeat(given.displacement + state.lock + state.axis + unseen, len(_WALKS))
        if state.bank is None:
            none = np.zeros(0)
            walks = np.tile(_WALKS, (len(_HYPOTHESES), 1))
            bank, dt_s = kalman_bank.new_bank(walks, positions, 0.02, none, none, none), 0.0
        else:
            bank, dt_s = state.bank.copy(), given.t_s - state.t_s
        if dt_s < 0:
            return state, 0.0
        now_s = correction_time(given)
        cycle_s = usual_cycle(state.cycle_s, dt_s, now_s - given.t_s + given.exposure_s / 2)
        table = np.empty((2, len(bank.x)))
        kalman_mixture.update_and_predict(
            bank, dt_s, given.t_s, given.exposure_s, positions, 1.0, _MEMORY, now_s + cycle_s / 2, table
        )
        found = kalman_mixture.likeliest(bank.score, table[0], table[1], len(_WALKS))
        return self._correct(state._replace(bank=bank, t_s=given.t_s, cycle_s=cycle_s), *found)

    def _lost(self, state: BacklashAwareState, now_s: float) -> tuple[BacklashAwareState, float]:
        if state.bank is None or now_s < state.t_s or _predict(state, now_s)[2] > self.lost_limit:
            return state, 0.0
        return self._correct(state, *_predict(state, now_s + state.cycle_s / 2))

    def _correct(
        self, state: BacklashAwareState, j: int, position: float, deviation: float
    ) -> tuple[BacklashAwareState, float]:
        """Aim at what is predicted for the middle between this correction and the next, through the gap if it pays.

        `j` is the likeliest hypothesis, and the others are what it predicts.
        """
        assert state.axis is not None
        axis = float(state.axis[j])
        correction = position - state.lock - axis
        gap = _HYPOTHESES[j] - (state.motor - axis) if correction > 0 else state.motor - axis
        if gap > _SMALL_GAP:
            if abs(correction) < 2 * deviation + 0.05 * gap:
                correction = 0.0
            else:
                correction += math.copysign(_CROSSED * gap, correction)
        return state._replace(pending=correction, expected_rms=deviation), correction


def _turned(state: BacklashAwareState) -> BacklashAwareState:
    """After the last correction: the motor has turned, and drags the axis where the gap is used up."""
    if state.pending == 0:
        return state._replace(turned=0.0)
    assert state.axis is not None
    motor = state.motor + state.pending
    axis = np.minimum(np.maximum(state.axis, motor - _HYPOTHESES), motor)
    return state._replace(motor=motor, axis=axis, pending=0.0, turned=state.pending, dragged=axis - state.axis)


def _predict(state: BacklashAwareState, t_s: float) -> tuple[int, float, float]:
    """The likeliest hypothesis, and with it position without corrections at `t_s` and its standard deviation."""
    from acquisition.kernels import kalman_bank, kalman_mixture

    assert state.bank is not None
    mean, variance = np.empty(len(state.bank.x)), np.empty(len(state.bank.x))
    kalman_bank.predict(state.bank, t_s - state.t_s, t_s, mean, variance)
    return kalman_mixture.likeliest(state.bank.score, mean, variance, len(_WALKS))
