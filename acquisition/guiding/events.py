"""What the guider tells its listeners (live view, log, report), in order, one frozen dataclass each.

In: nothing. Out: plain values. Times `t_s` are the event loop's clock; displacements are px of the frame as delivered.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from acquisition.camera import FrameTruth
from acquisition.geometry import MountResponse
from acquisition.guiding.algorithms import Law
from acquisition.guiding.algorithms.worm import Worm
from acquisition.images.meta import GuideStar
from acquisition.mount import Direction


class State(enum.Enum):
    """What the guider is doing."""

    STOPPED = "Stopped"
    LOOPING = "Looping"  # frames, but no guide stars yet
    SELECTED = "Selected"  # guide stars chosen
    CALIBRATING = "Calibrating"
    GUIDING = "Guiding"
    LOST_LOCK = "LostLock"  # guiding, but the stars are gone for the moment
    PAUSED = "Paused"  # frames are measured, nothing is corrected


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The guider's state, and why it changed."""

    t_s: float
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Selected:
    """Guide stars were chosen."""

    t_s: float
    stars: tuple[GuideStar, ...]


@dataclass(frozen=True, slots=True)
class CalibrationBegan:
    t_s: float
    utc: datetime


@dataclass(frozen=True, slots=True)
class CalibrationStep:
    """Where the stars are after a calibration pulse (or before the first, `direction` None), against the start."""

    t_s: float
    number: int
    of: int | None  # how many there will be, once known
    direction: Direction | None
    pulse_s: float
    dx: float
    dy: float


@dataclass(frozen=True, slots=True)
class Calibrated:
    t_s: float
    response: MountResponse
    backlash_s: float | None


@dataclass(frozen=True, slots=True)
class GuidingBegan:
    """The lock is set: where the brightest guide star should be, px."""

    t_s: float
    utc: datetime
    lock_x: float
    lock_y: float
    hfd: float
    response: MountResponse
    scale_arcsec: float | None  # per px


@dataclass(frozen=True, slots=True)
class AxisStep:
    """One axis in one frame.

    Attributes
    ----------
    displacement_px : float
        Star minus lock along the axis; positive is removed by West or South.
    correction_px : float
        What the law asked for.
    direction : Direction or None
        Of the pulse that was sent; None if there was none.
    pulse_s : float
        Its length.
    limited : bool
        Whether the longest allowed pulse cut it.
    expected_rms_px : float or None
        Of the true displacement that the correction leaves, by the law's own account; None where it has none.
    """

    displacement_px: float
    correction_px: float
    direction: Direction | None
    pulse_s: float
    limited: bool
    expected_rms_px: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One measured and (unless corrections are off) corrected frame."""

    t_s: float  # middle of the exposure
    utc: datetime
    frame: int
    exposure_s: float
    dx: float
    dy: float
    dx_err: float | None
    dy_err: float | None
    ra: AxisStep
    dec: AxisStep
    stars: tuple[GuideStar, ...]
    settling: bool
    scale_arcsec: float | None
    truth: FrameTruth | None = None  # simulators only: displacement from the lock without seeing and noise


@dataclass(frozen=True, slots=True)
class Dropped:
    """A frame that gave no measurement.

    Attributes
    ----------
    t_s : float
        When that was known.
    frame : int
    reason : str
    ra_pulse_s, dec_pulse_s : float
        Sent by prediction alone; positive: West, South.
    """

    t_s: float
    frame: int
    reason: str
    ra_pulse_s: float = 0.0
    dec_pulse_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DitherBegan:
    """The lock moved (px along the mount's axes, and the brightest star's new place)."""

    t_s: float
    ra_px: float
    dec_px: float
    lock_x: float
    lock_y: float


@dataclass(frozen=True, slots=True)
class Settling:
    """`done` None: settling began; True: it is over; False: it failed for `reason`."""

    t_s: float
    done: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LawChanged:
    """An axis ("RA", "Dec") is guided by another law, or by the same with other parameters."""

    t_s: float
    axis: str
    law: Law[Any]


@dataclass(frozen=True, slots=True)
class WormLearned:
    """What the RA law has learned of the worm so far, as at declination 0; worth keeping."""

    t_s: float
    worm: Worm


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a user should know: a device went or came back, an axis is limited."""

    t_s: float
    text: str


class AlarmKind(enum.Enum):
    """What is wrong."""

    CALIBRATION_ANGLE = "calibration-angle"
    RUNAWAY = "runaway"  # corrections make it worse; the axis is stopped
    EXCURSION = "excursion"  # pulses one way add up to more than is allowed
    PULSES_TOO_SHORT = "pulses-too-short"  # the longest allowed is not enough
    DEAF = "deaf"  # pulses move nothing


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something is wrong that a user should mend; the text ends with how."""

    t_s: float
    kind: AlarmKind
    text: str


@dataclass(frozen=True, slots=True)
class GuidingEnded:
    t_s: float
    utc: datetime
    guided_s: float
    reason: str


Event: TypeAlias = (
    StateChanged
    | Selected
    | CalibrationBegan
    | CalibrationStep
    | Calibrated
    | GuidingBegan
    | Step
    | Dropped
    | DitherBegan
    | Settling
    | LawChanged
    | WormLearned
    | Notice
    | Alarm
    | GuidingEnded
)

Listener: TypeAlias = Callable[[Event], None]
