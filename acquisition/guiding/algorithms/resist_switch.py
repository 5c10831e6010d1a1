"""PHD2's resist-switch law: corrects to one side only, until the displacements insist on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from acquisition.guiding.algorithms.law import Dithered, Input, Measured, Resumed, Unit, check_range

_DEPTH = 10


class ResistSwitchState(NamedTuple):
    """The last ten displacements (px, oldest first) and the side now being corrected (-1, 0 or 1)."""

    history: tuple[float, ...] = (0.0,) * _DEPTH
    side: int = 0


@dataclass(frozen=True)
class ResistSwitch:
    """PHD2's default for Dec, with its names, defaults and arithmetic (read from PHD2 2.6.13).

    Parameters
    ----------
    min_move : float
        Displacements below it are not corrected, px (0 to 20).
    aggression : float
        Share of the displacement that is corrected (0 to 1).
    fast_switch : bool
        Change sides at once for a displacement above three times `min_move`.
    """

    min_move: float = 0.2
    aggression: float = 1.0
    fast_switch: bool = True

    name: ClassVar[str] = "resist-switch"
    unit: ClassVar[Unit] = "px"

    def __post_init__(self) -> None:
        check_range(self.name, "min_move", self.min_move, 0, 20)
        check_range(self.name, "aggression", self.aggression, 0, 1)

    def start(self) -> ResistSwitchState:
        return ResistSwitchState()

    def step(self, state: ResistSwitchState, given: Input) -> tuple[ResistSwitchState, float]:
        match given:
            case Measured(displacement=displacement):
                return self._measured(state, displacement)
            case Dithered() | Resumed():
                return self.start(), 0.0
            case _:
                return state, 0.0

    def _measured(self, state: ResistSwitchState, displacement: float) -> tuple[ResistSwitchState, float]:
        history, side = (*state.history[1:], displacement), state.side
        sign = int(np.sign(displacement))
        if abs(displacement) < self.min_move:
            return ResistSwitchState(history, side), 0.0
        if self.fast_switch and sign != side and abs(displacement) > 3 * self.min_move:
            side = 0
            history = (0.0,) * (_DEPTH - 3) + (displacement,) * 3
        votes = int(sum(np.sign(d) for d in history if abs(d) > self.min_move))
        if side == 0 or side == -np.sign(votes):
            newest, oldest = abs(sum(history[-3:])), abs(sum(history[:3]))
            if abs(votes) < 3 or newest <= oldest:
                return ResistSwitchState(history, side), 0.0
            side = int(np.sign(votes))
        correction = displacement * self.aggression if side == sign else 0.0
        return ResistSwitchState(history, side), correction
