"""How to guide: one frozen value, whose parts belong to the files that act on them.

In: nothing. Out: `GuiderSettings`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from acquisition.exposure.laws import ExposureRule
from acquisition.guiding.algorithms import BacklashAware, Law, Predictive
from acquisition.guiding.apply import AxisLimits
from acquisition.guiding.calibration import CalibrationRule
from acquisition.guiding.dither import DitherRule
from acquisition.guiding.settle import SettleRule


@dataclass(frozen=True, slots=True)
class GuiderSettings:
    """How to guide; every part is a value of the file that does it."""

    ra_law: Law[Any] = field(default_factory=Predictive)
    dec_law: Law[Any] = field(default_factory=BacklashAware)
    ra_limits: AxisLimits = AxisLimits()
    dec_limits: AxisLimits = AxisLimits()
    calibration: CalibrationRule = CalibrationRule()
    calibration_attempts: int = 3
    dither: DitherRule = DitherRule()
    settle: SettleRule = SettleRule()
    corrections: bool = True
    focal_length_mm: float | None = None  # for the scale, where frames do not state it
    pulses_know_pier: bool = True  # a North pulse moves north on either side of the pier
    alt_az_site: tuple[float, float] | None = None  # as `WatchedMount`
    after_pulse_s: float = 0.0  # wait before the next exposure
    overlapped: bool = False  # expose while pulses run, and correct between frames, too
    lost_limit_s: float | None = None  # end when no star was measured for so long; None: never
    exposure: ExposureRule | None = None  # sets the exposure times; None: they stay as the camera has them
