"""PHD2's hysteresis law: a share of the displacement, mixed with the last correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from acquisition.guiding.algorithms.law import Dithered, Input, Measured, Resumed, Unit, check_range


@dataclass(frozen=True)
class Hysteresis:
    """PHD2's default for RA, with its names, defaults and arithmetic (read from PHD2 2.6.13).

    The state is the last correction, px.

    Parameters
    ----------
    min_move : float
        Corrections below it are not sent, px (0 to 20).
    hysteresis : float
        Share of the last correction in the next one (0 to 0.99).
    aggression : float
        Share of the result that is corrected (0 to 2).
    """

    min_move: float = 0.2
    hysteresis: float = 0.1
    aggression: float = 0.7

    name: ClassVar[str] = "hysteresis"
    unit: ClassVar[Unit] = "px"

    def __post_init__(self) -> None:
        check_range(self.name, "min_move", self.min_move, 0, 20)
        check_range(self.name, "hysteresis", self.hysteresis, 0, 0.99)
        check_range(self.name, "aggression", self.aggression, 0, 2)

    def start(self) -> float:
        return 0.0

    def step(self, last: float, given: Input) -> tuple[float, float]:
        match given:
            case Measured(displacement=displacement):
                mixed = (1 - self.hysteresis) * displacement + self.hysteresis * last
                correction = mixed * self.aggression
                if abs(displacement) < self.min_move:
                    correction = 0.0
                return correction, correction
            case Dithered() | Resumed():
                return self.start(), 0.0
            case _:
                return last, 0.0
