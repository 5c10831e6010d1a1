"""The background law: the sky at a level, for flats in twilight and for all-sky cameras.

In: the median of a frame. Out: the next exposure, with which the sky will be on target in the middle of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from .law import Decision, Hold
from .limits import Limits, check_number
from .measurement import Measurement
from .regulator import Regulated, blind_cut, held, regulate, unusable
from .trend import Trend


@dataclass(frozen=True, slots=True)
class BackgroundLaw:
    """Brings the frame's median to a share of the saturation.

    Parameters
    ----------
    target : float
        Share of the saturation, above the bias; above 0, up to 0.9.
    limits : Limits
    """

    name: ClassVar[str] = "background"

    target: float = 0.4
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        check_number("target", self.target, 0.001, 0.9)

    def start(self) -> Regulated:
        return Regulated()

    def step(self, state: Regulated, measured: Measurement) -> tuple[Regulated, Decision]:
        return regulate_level(state, measured, self.limits, measured.level_adu, self.target)


def regulate_level(
    state: Regulated, measured: Measurement, limits: Limits, level_adu: float, target: float
) -> tuple[Regulated, Decision]:
    """Bring a level that is in proportion to the exposure to a share of the saturation."""
    why = unusable(measured)
    if why is not None:
        return held(state, measured, why)
    if math.isnan(level_adu):
        return held(state, measured, Hold.NOT_MEASURED)
    if level_adu >= measured.saturation_adu:
        return blind_cut(state, measured, limits, first=10.0)
    if level_adu <= 0:
        return held(state, measured, Hold.NEGATIVE)
    wanted_s = measured.exposure_s * target * measured.saturation_adu / level_adu
    # a median is much more precise than a pixel, but no more accurate than the bias is known, and counts are whole
    error = 0.5 * measured.noise_adu / level_adu if measured.noise_adu > 0 else 0.0
    return regulate(state, measured, limits, wanted_s, kind=Trend, error=min(error, 1.0))
