"""The percentile law: the bright part of a picture at a level, for the Sun, the Moon, planets, and all-sky cameras.

In: a percentile of a frame. Out: the next exposure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .background import regulate_level
from .law import Decision
from .limits import Limits, check_number
from .measurement import Measurement
from .regulator import Regulated


@dataclass(frozen=True, slots=True)
class PercentileLaw:
    """Brings a percentile of the frame to a share of the saturation.

    Parameters
    ----------
    percentile : float
        Below which so many per cent of the pixels are, 1 to 100.
    target : float
        Share of the saturation, above the bias; above 0, up to 0.95.
    limits : Limits
    """

    name: ClassVar[str] = "percentile"

    percentile: float = 99.5
    target: float = 0.7
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        check_number("percentile", self.percentile, 1.0, 100.0)
        check_number("target", self.target, 0.001, 0.95)

    def start(self) -> Regulated:
        return Regulated()

    def step(self, state: Regulated, measured: Measurement) -> tuple[Regulated, Decision]:
        return regulate_level(state, measured, self.limits, measured.percentile_adu, self.target)
