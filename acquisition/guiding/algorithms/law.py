"""The contract of a guide law: one axis, one number in, one number out.

In: what happened on the axis (`Measured`, `Lost`, `Between`, `Dithered`, `Settled`, `Sent`, `Resumed`, `Worked`). Out:
a new state and a correction.

Signs: a displacement is where the star is minus where it should be; the correction has its sign and is subtracted:
next displacement = displacement - correction + what the sky and the mount did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar

S = TypeVar("S")

Unit: TypeAlias = Literal["px", "arcsec"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A star was measured.

    Attributes
    ----------
    t_s : float
        Middle of the exposure on the event loop's clock, s.
    displacement : float
        In the law's unit; as if all corrections sent so far had been over before the exposure began.
    error : float or None
        Its standard error, in the law's unit.
    snr : float or None
    exposure_s : float
    now_s : float or None
        When the correction will begin; None: with the end of the exposure.
    until_s : float or None
        When the next one will; None: after another such frame.
    unseen : float
        Share of the corrections that the displacement is reckoned to have, but that were sent during the exposure and
        too late to show in it; law's unit.
    """

    t_s: float
    displacement: float
    error: float | None = None
    snr: float | None = None
    exposure_s: float = 0.0
    now_s: float | None = None
    until_s: float | None = None
    unseen: float = 0.0


@dataclass(frozen=True, slots=True)
class Lost:
    """A frame of `exposure_s` gave no measurement at time `t_s`; a law may still ask for a correction at `now_s`."""

    t_s: float
    exposure_s: float = 0.0
    now_s: float | None = None
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Between:
    """During an exposure: a law that predicts may ask for a correction that holds from `now_s` until `until_s`."""

    now_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Dithered:
    """The lock moved by `amount` (law's unit); displacements count from the new lock from now on."""

    amount: float


@dataclass(frozen=True, slots=True)
class Settled:
    """The dither is over."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What was really sent with the last correction (law's unit), when that was less, or more: a dither's pulse."""

    amount: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """Guiding goes on after a pause, during which nothing was sent."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something that takes too long for a step: `LawRunner` has it computed elsewhere and gives back `Worked`.

    Attributes
    ----------
    due_s : float
        The result is given to the first step at or after this time.
    compute : callable
        Pure, without arguments.
    """

    due_s: float
    compute: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Worked:
    """The result of the work that the state asked for (its `work`, which this ends)."""

    result: Any


Input: TypeAlias = Measured | Lost | Between | Dithered | Settled | Sent | Resumed | Worked


class Law(Protocol[S]):
    """A frozen set of parameters, and two pure functions.

    A law's constructor checks its parameters' ranges and raises ValueError naming parameter, value and range.
    """

    name: ClassVar[str]
    unit: ClassVar[Unit]

    def start(self) -> S:
        """The state before the first frame, and after a re-selection of stars."""

    def step(self, state: S, given: Input) -> tuple[S, float]:
        """The state after `given`, and the correction (0 unless `given` is `Measured`, `Lost` or `Between`)."""


def check_range(law: str, name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless low <= value <= high."""
    if not low <= value <= high:
        raise ValueError(f"{law}: {name} is {value}; allowed: {low:g} to {high:g}")
