"""PHD2's z-filter law: a low-pass filter on the motion that corrections are not part of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NamedTuple

import numpy as np

from acquisition.guiding.algorithms.law import Dithered, Input, Measured, Resumed, Unit, check_range

_ORDER = 4
_BESSEL_POLES = (-1.37006783055 + 0.410249717494j, -0.995208764350 + 1.25710573945j)
"""Of the analogue Bessel filter of order 4 that is 3 dB down at 1 rad/s, one of each conjugate pair."""


class ZFilterState(NamedTuple):
    """Filter input and output of the last four frames (px, newest first), and the sum of all corrections."""

    inputs: tuple[float, ...] = (0.0,) * _ORDER
    outputs: tuple[float, ...] = (0.0,) * _ORDER
    corrected: float = 0.0


@dataclass(frozen=True)
class ZFilter:
    """PHD2's z-filter, with its names, defaults and arithmetic (read from PHD2 2.6.13).

    A Bessel filter of order 4, corner period four frames times `exp_factor` (a Butterworth one when that is below
    six frames), by the bilinear transform with pre-warping.

    Parameters
    ----------
    min_move : float
        Corrections below it are not sent, px (0 to 20).
    exp_factor : float
        By how much longer exposures would average as much (1 to 20).
    """

    min_move: float = 0.1
    exp_factor: float = 2.0

    name: ClassVar[str] = "z-filter"
    unit: ClassVar[Unit] = "px"

    def __post_init__(self) -> None:
        check_range(self.name, "min_move", self.min_move, 0, 20)
        check_range(self.name, "exp_factor", self.exp_factor, 1, 20)

    def start(self) -> ZFilterState:
        return ZFilterState()

    def step(self, state: ZFilterState, given: Input) -> tuple[ZFilterState, float]:
        match given:
            case Measured(displacement=displacement):
                forward, back = _coefficients(self.exp_factor * 4)
                inputs = (displacement + state.corrected, *state.inputs)
                output = _dot(forward, inputs) - _dot(back, state.outputs)
                correction = output - state.corrected
                if abs(correction) < self.min_move:
                    correction = 0.0
                outputs = (output, *state.outputs[:-1])
                return ZFilterState(inputs[:-1], outputs, state.corrected + correction), correction
            case Dithered() | Resumed():
                return self.start(), 0.0
            case _:
                return state, 0.0


def _dot(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@cache
def _coefficients(corner_frames: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(Five forward, four backward) coefficients, newest first, gain 1 for a constant."""
    if corner_frames < 6:
        half = tuple(complex(math.cos(a), math.sin(a)) for a in (5 * math.pi / 8, 7 * math.pi / 8))
    else:
        half = _BESSEL_POLES
    warped = 2 * math.tan(math.pi / corner_frames)
    poles = [pole * warped for pole in (*half, *(pole.conjugate() for pole in half))]
    back = np.poly([(2 + pole) / (2 - pole) for pole in poles]).real
    forward = np.poly([-1.0] * _ORDER)
    forward *= back.sum() / forward.sum()
    return tuple(map(float, forward)), tuple(map(float, back[1:]))
