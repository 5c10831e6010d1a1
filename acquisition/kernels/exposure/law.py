"""What an exposure law is, and what it answers.

In: a state and a `Measurement`. Out: the next state and a `Decision`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar

from .limits import Bound, Limits
from .measurement import Measurement

S = TypeVar("S")


class Hold(StrEnum):
    """Why the exposure stays as it was."""

    NO_EXPOSURE = "the frame's exposure time is not above 0"
    NO_SATURATION = "the saturation is not known"
    NOT_MEASURED = "not measured"
    NOT_FINITE = "not a finite number"
    NEGATIVE = "no light above the bias"
    NO_STARS = "no star left"
    LEARNING = "not enough frames yet"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do before the next frame.

    Attributes
    ----------
    exposure_s : float
        Of the next frame; what it was, where the law holds.
    gain : float or None
        Of the next frame, camera units; None: leave it as it is.
    hold : Hold or None
        Why the law had nothing to go by; None: it had.
    probing : bool
        Whether the next exposure is longer only to look whether there is light again.
    level : float
        What was measured over what was aimed at, 1 on target; above 1 also where it was clipped (an estimate); NaN
        while holding.
    clipped : bool
        Whether what the law goes by was clipped.
    predicted : float
        The level expected of the next frame; NaN while holding.
    bound : Bound or None
        What kept the next exposure from what the target asks for.
    """

    exposure_s: float
    gain: float | None = None
    hold: Hold | None = None
    probing: bool = False
    level: float = float("nan")
    clipped: bool = False
    predicted: float = float("nan")
    bound: Bound | None = None

    def changes(self, measured: Measurement) -> bool:
        """Whether the camera must be set before the next frame."""
        return self.exposure_s != measured.exposure_s or (self.gain is not None and self.gain != measured.gain)


class ExposureLaw(Protocol[S]):
    """A frozen set of parameters, and two pure functions.

    A law's constructor checks its parameters' ranges and raises ValueError naming parameter, value and range.
    """

    name: ClassVar[str]

    @property
    def limits(self) -> Limits:
        """What it may ask for."""

    def start(self) -> S:
        """The state before the first frame; also after the telescope was pointed elsewhere or the filter changed."""

    def step(self, state: S, measured: Measurement) -> tuple[S, Decision]:
        """The state after a frame, and what to do before the next one; never raises, whatever was measured."""


AnyLaw = ExposureLaw[Any]
