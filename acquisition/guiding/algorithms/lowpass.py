"""PHD2's lowpass laws: the median and slope of the last displacements."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import ClassVar, NamedTuple

from acquisition.guiding.algorithms.law import Dithered, Input, Measured, Resumed, Unit, check_range

_DEPTH = 10


@dataclass(frozen=True)
class Lowpass:
    """PHD2's lowpass, with its names, defaults and arithmetic (read from PHD2 2.6.13).

    The state is the last ten displacements, px, oldest first.

    Parameters
    ----------
    min_move : float
        Displacements below it are not corrected, px (0 to 20).
    slope_weight : float
        How many frames ahead the slope is followed (0 to 20).
    """

    min_move: float = 0.2
    slope_weight: float = 5.0

    name: ClassVar[str] = "lowpass"
    unit: ClassVar[Unit] = "px"

    def __post_init__(self) -> None:
        check_range(self.name, "min_move", self.min_move, 0, 20)
        check_range(self.name, "slope_weight", self.slope_weight, 0, 20)

    def start(self) -> tuple[float, ...]:
        return (0.0,) * _DEPTH

    def step(self, state: tuple[float, ...], given: Input) -> tuple[tuple[float, ...], float]:
        match given:
            case Measured(displacement=displacement):
                eleven = (*state, displacement)
                history = eleven[1:]
                correction = median(eleven) + self.slope_weight * _slope(history)
                if abs(correction) > abs(displacement):
                    correction = displacement
                return history, 0.0 if abs(displacement) < self.min_move else correction
            case Dithered() | Resumed():
                return self.start(), 0.0
            case _:
                return state, 0.0


class Lowpass2State(NamedTuple):
    """Up to ten displacements (px, oldest first), and how often running the slope asked for too much."""

    history: tuple[float, ...] = ()
    rejects: int = 0


@dataclass(frozen=True)
class Lowpass2:
    """PHD2's lowpass2, its choice for mounts with encoders, with its names, defaults and arithmetic.

    Parameters
    ----------
    min_move : float
        Displacements below it are not corrected, px (0 to 20).
    aggressiveness : float
        Share that is corrected, percent (0 to 100).
    """

    min_move: float = 0.2
    aggressiveness: float = 80.0

    name: ClassVar[str] = "lowpass2"
    unit: ClassVar[Unit] = "px"

    def __post_init__(self) -> None:
        check_range(self.name, "min_move", self.min_move, 0, 20)
        check_range(self.name, "aggressiveness", self.aggressiveness, 0, 100)

    def start(self) -> Lowpass2State:
        return Lowpass2State()

    def step(self, state: Lowpass2State, given: Input) -> tuple[Lowpass2State, float]:
        match given:
            case Measured(displacement=displacement):
                return self._measured(state, displacement)
            case Dithered() | Resumed():
                return self.start(), 0.0
            case _:
                return state, 0.0

    def _measured(self, state: Lowpass2State, displacement: float) -> tuple[Lowpass2State, float]:
        history, rejects = (*state.history, displacement)[-_DEPTH:], state.rejects
        share = self.aggressiveness / 100
        correction = share * displacement
        if len(history) >= 4 and abs(displacement) > 4 * self.min_move:
            history, rejects = (), 0
        elif len(history) >= 4:
            correction = _slope(history) * len(history) * share
            if correction * displacement < 0:
                correction = 0.0
        if abs(correction) > abs(displacement):
            correction = share * displacement
            rejects += 1
            if rejects > 3:
                history, rejects = (), 0
        else:
            rejects = 0
        return Lowpass2State(history, rejects), 0.0 if abs(displacement) < self.min_move else correction


def _slope(values: tuple[float, ...]) -> float:
    """Least-squares slope per frame."""
    n = len(values)
    middle = (n - 1) / 2
    return sum((i - middle) * value for i, value in enumerate(values)) * 12 / (n * (n * n - 1))
