"""PHD2's predictive PEC law: a Gaussian process learns the worm and predicts its next move."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from acquisition.guiding.algorithms.law import Dithered, Input, Lost, Measured, Settled, Unit, check_range

_MEMORY = 8192
_POINTS_BEFORE_PREDICTION = 10
_DITHER_STEPS = 10
_HYSTERESIS = 0.1
_LEARNING_RATE = 0.01


@dataclass(frozen=True)
class PredictivePecState:
    """What has been seen since guiding began.

    Attributes
    ----------
    points : array (n, 4)
        Gear time s, displacement px, its variance, and the correction before it px; one row a frame, and a last one
        of which only the correction is known.
    period_s : float
        As learned so far.
    periodic_length : float
        Length scale of the periodic part, relative: 4 sin(π length / period).
    start_s, last_s : float
        Times of the first and the last call.
    prediction_end_s : float
        Up to where the gear's motion has been predicted.
    dither_offset_s : float
        Gear time that dithers added.
    dither_steps : int
        Frames that are still corrected in proportion only; 0: no dither.
    """

    points: NDArray[np.float64]
    period_s: float
    periodic_length: float
    start_s: float = 0.0
    last_s: float = 0.0
    prediction_end_s: float = 0.0
    dither_offset_s: float = 0.0
    dither_steps: int = 0


@dataclass(frozen=True)
class PredictivePec:
    """PHD2's Predictive PEC, for RA, with its names, defaults and arithmetic (read from PHD2 2.6.13).

    Parameters
    ----------
    reactive_weight : float
        Share of the displacement that is corrected (0 to 1).
    predictive_weight : float
        Share of the predicted motion that is corrected (0 to 1).
    min_move : float
        Displacements below it are not corrected; the prediction is, px (0 to 20).
    period_length : float
        Of the worm, s (10 to 2000), to begin with.
    auto_adjust_period : bool
        Learn the period.
    guide_rate : float
        How far a dither moves the star in a second of gear time, px/s (0.01 to 1000).
    length_scale_long, length_scale_periodic, length_scale_short : float
        Of the parts of the Gaussian process, s (1 to 5000).
    variance_long, variance_periodic, variance_short : float
        Their amplitudes, px (PHD2 calls them variances; 0 to 100).
    periods_for_inference : float
        Worm periods until the prediction is trusted in full (0 to 10).
    periods_for_estimation : float
        Worm periods until the period is learned (0 to 10).
    points : int
        Most data that are used (10 to 2000).
    """

    reactive_weight: float = 0.6
    predictive_weight: float = 0.5
    min_move: float = 0.2
    period_length: float = 200.0
    auto_adjust_period: bool = True
    guide_rate: float = 1.0
    length_scale_long: float = 700.0
    length_scale_periodic: float = 10.0
    length_scale_short: float = 25.0
    variance_long: float = 20.0
    variance_periodic: float = 20.0
    variance_short: float = 10.0
    periods_for_inference: float = 2.0
    periods_for_estimation: float = 2.0
    points: int = 100

    name: ClassVar[str] = "predictive-pec"
    unit: ClassVar[Unit] = "px"

    def __post_init__(self) -> None:
        for names, low, high in (
            (("reactive_weight", "predictive_weight"), 0, 1),
            (("min_move",), 0, 20),
            (("period_length",), 10, 2000),
            (("guide_rate",), 0.01, 1000),
            (("length_scale_long", "length_scale_periodic", "length_scale_short"), 1, 5000),
            (("variance_long", "variance_periodic", "variance_short"), 0, 100),
            (("periods_for_inference", "periods_for_estimation"), 0, 10),
            (("points",), 10, 2000),
        ):
            for name in names:
                check_range(self.name, name, getattr(self, name), low, high)

    def start(self) -> PredictivePecState:
        return PredictivePecState(
            np.zeros((1, 4)), self.period_length, _relative_length(self.length_scale_periodic, self.period_length)
        )

    def step(self, state: PredictivePecState, given: Input) -> tuple[PredictivePecState, float]:
        match given:
            case Measured() if state.dither_steps > 0:
                state = replace(state, dither_steps=state.dither_steps - 1)
                try:
                    state, _ = self._unseen(state, given.t_s, given.exposure_s)
                except _GridTooShort:
                    period_s, relative = state.period_s, state.periodic_length
                    state = PredictivePecState(np.zeros((1, 4)), period_s, relative, prediction_end_s=-1.0)
                return state, self.reactive_weight * given.displacement
            case Measured():
                return self._seen(state, given)
            case Lost(t_s=t_s, exposure_s=exposure_s):
                return self._unseen(state, t_s, exposure_s)
            case Dithered(amount=amount):
                offset_s = state.dither_offset_s + amount / self.guide_rate
                return replace(state, dither_offset_s=offset_s, dither_steps=_DITHER_STEPS), 0.0
            case Settled() if state.dither_steps > 0:
                return replace(state, dither_steps=1), 0.0
            case _:
                return state, 0.0

    def _seen(self, state: PredictivePecState, given: Measured) -> tuple[PredictivePecState, float]:
        if len(state.points) == 1:
            state = replace(state, start_s=given.t_s, last_s=given.t_s)
        variance = (2.1752 / (max(given.snr or 0.0, 3.4) - 3.3) + 0.5) ** 2
        state = _with_point(state, given.t_s, given.displacement, variance)
        state = replace(state, prediction_end_s=state.points[-1, 0])
        before_last = state.points[-2, 3] if len(state.points) > 1 else 0.0
        correction = self.reactive_weight * given.displacement
        reactive = self.reactive_weight * ((1 - _HYSTERESIS) * given.displacement + _HYSTERESIS * before_last)
        if abs(given.displacement) < self.min_move:
            correction = reactive = 0.0
        if len(state.points) > _POINTS_BEFORE_PREDICTION:
            state, prediction = self._predict(state, given.t_s, given.exposure_s)
            correction += self.predictive_weight * prediction
            share = min(1.0, float(state.points[-1, 0]) / max(self.periods_for_inference * state.period_s, 1e-9))
            correction = share * correction + (1 - share) * reactive
        return _with_correction(state, correction), float(correction)

    def _unseen(self, state: PredictivePecState, t_s: float, exposure_s: float) -> tuple[PredictivePecState, float]:
        state = _with_point(state, t_s, 0.0, 1e4)
        correction = 0.0
        trusted_s = self.periods_for_inference * state.period_s
        if len(state.points) > _POINTS_BEFORE_PREDICTION and state.points[-1, 0] > trusted_s:
            state, correction = self._predict(state, t_s, exposure_s)
        return _with_correction(state, correction), correction

    def _predict(self, state: PredictivePecState, t_s: float, exposure_s: float) -> tuple[PredictivePecState, float]:
        """The gear's motion until the end of the next exposure, and the state with the period learned on the way."""
        from acquisition.kernels import gaussian_process as gp  # compiled code, wanted by this law only

        t, displacement, variance = state.points[:-1, :3].T.copy()
        gear = np.cumsum(state.points[:-1, 3]) + displacement
        grid = np.empty((3, math.ceil(t[-1] / gp.GRID_S) + 1 if state.dither_steps else 8 * len(t) + 4000))
        cells = gp.regularise(t, gear, variance, grid)
        if cells < 0:
            raise _GridTooShort
        grid_t, grid_gear, grid_variance = np.ascontiguousarray(grid[:, :cells])
        period_s, relative = state.period_s, state.periodic_length
        if self.auto_adjust_period and state.points[-1, 0] > self.periods_for_estimation * period_s:
            length_s = math.asin(relative / 4) * period_s / math.pi
            period_s += _LEARNING_RATE * (gp.estimate_period(grid_t, grid_gear) - period_s)
            relative = _relative_length(length_s, period_s)
        hyperparameters = gp.Hyperparameters(
            self.length_scale_long, max(self.variance_long, 1e-10), relative, max(self.variance_periodic, 1e-10),
            self.length_scale_short, max(self.variance_short, 1e-10), period_s,
        )  # fmt: skip
        now_s = t_s - state.start_s
        begin_s = now_s if state.prediction_end_s < 0 else state.prediction_end_s
        end_s = now_s + exposure_s + state.dither_offset_s
        change = gp.predict_change(
            grid_t, grid_gear, grid_variance, hyperparameters, self.points, now_s + 0.5 * exposure_s, begin_s, end_s
        )
        state = replace(state, period_s=period_s, periodic_length=relative, prediction_end_s=end_s)
        return state, change


class _GridTooShort(Exception):
    """After a backward dither the gear time no longer ascends; PHD2 begins anew then."""


def _relative_length(length_s: float, period_s: float) -> float:
    return max(4 * math.sin(max(length_s, 1.0) * math.pi / period_s), 1e-10)


def _with_point(state: PredictivePecState, t_s: float, displacement: float, variance: float) -> PredictivePecState:
    """Fill the last row; its time is the middle between this call and the one before."""
    points = state.points.copy()
    points[-1, :3] = t_s - state.start_s - (t_s - state.last_s) / 2 + state.dither_offset_s, displacement, variance
    return replace(state, points=points, last_s=t_s)


def _with_correction(state: PredictivePecState, correction: float) -> PredictivePecState:
    """Begin the next row."""
    row: Any = (0.0, 0.0, 0.0, correction)
    return replace(state, points=np.vstack([state.points, row])[-_MEMORY:])
