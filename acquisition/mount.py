"""The mount contract: guide pulses, pointing and tracking on the event loop.

In: directions with durations, or coordinates. Out: `MountState`.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, runtime_checkable


class Direction(enum.Enum):
    """The way a guide pulse moves the telescope's pointing."""

    NORTH = "N"
    SOUTH = "S"
    EAST = "E"
    WEST = "W"

    @property
    def opposite(self) -> Direction:
        return _OPPOSITE[self]


_OPPOSITE = {
    Direction.NORTH: Direction.SOUTH,
    Direction.SOUTH: Direction.NORTH,
    Direction.EAST: Direction.WEST,
    Direction.WEST: Direction.EAST,
}


class PierSide(enum.Enum):
    """Where the telescope is, seen from a German mount's pier."""

    EAST = "East"
    WEST = "West"
    UNKNOWN = "Unknown"


MAX_OFFSET_DEG = 1.0
"""What is farther away is slewed to."""


@dataclass(frozen=True, slots=True)
class MountInfo:
    """What a mount is; it does not change while the mount is open."""

    name: str
    can_slew: bool = False
    can_park: bool = False
    can_offset: bool = False  # takes small shifts of its pointing without a slew
    parallel_pulses: bool = False  # an RA and a Dec pulse at the same time
    pulses_while_exposing: bool = False  # smooth enough, and whatever the camera does meanwhile
    min_pulse_s: float = 0.001  # shorter ones do nothing
    max_pulse_s: float = 10.0


@dataclass(frozen=True, slots=True)
class MountState:
    """What changes; None where the mount cannot say.

    `field_angle_deg` is for mounts that turn the camera against the directions of their pulses, such as an alt-azimuth
    mount whose North pulse moves it north: the camera's angle so far, from north towards east (the parallactic angle).
    None where the camera keeps its angle to the pulses: on equatorial mounts, and where North means up.
    """

    ra_deg: float | None = None  # ICRS
    dec_deg: float | None = None
    pier_side: PierSide = PierSide.UNKNOWN
    tracking: bool | None = None
    slewing: bool = False
    parked: bool = False
    ra_guide_rate_arcsec_per_s: float | None = None
    dec_guide_rate_arcsec_per_s: float | None = None
    field_angle_deg: float | None = None


@runtime_checkable
class Mount(Protocol):
    """A mount on the event loop. Cancelling any call stops the motion that it began."""

    @property
    def info(self) -> MountInfo:
        """What the mount is; known once it is connected (before: DeviceError)."""

    async def connect(self) -> None:
        """Open the device without moving it.

        Calls nest: the device is let go by as many `close` as there were `connect`.
        """

    async def close(self) -> None:
        """Stop every pulse and let the device go; never raises, harmless when not open."""

    async def state(self) -> MountState:
        """Where it points and what it does."""

    async def pulse_guide(self, direction: Direction, duration_s: float) -> None:
        """Move at guide rate; returns when the pulse has ended. Ends the pulse when cancelled or failing, too.

        Raises
        ------
        ValueError
            If the duration is not finite, negative, or above ``info.max_pulse_s``; nothing moves then.
        DeviceBusy
            While slewing or parked, or during another pulse on the same axis.
        """

    async def slew(self, ra_deg: float, dec_deg: float) -> None:
        """Point somewhere (ICRS degrees); returns when there. Raises `Unsupported` where it cannot."""

    async def offset(self, dra_deg: float, ddec_deg: float) -> None:
        """Shift the pointing by small arcs on the sky while tracking; returns when there.

        Shifts add up; what the mount says of where it points does not follow them, and a slew forgets them.

        Parameters
        ----------
        dra_deg, ddec_deg : float
            Towards east (Δα·cos δ) and north, degrees.

        Raises
        ------
        ValueError
            If a shift is not finite or larger than `MAX_OFFSET_DEG`.
        Unsupported
            Where ``info.can_offset`` is False.
        DeviceBusy
            While slewing, parked, or already shifting.
        """

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        """Tell the mount where it points (ICRS degrees)."""

    async def set_tracking(self, on: bool) -> None:
        """Follow the stars, or stand still."""

    async def park(self) -> None:
        """Go to the parking position and stay."""

    async def unpark(self) -> None:
        """Allow motion again."""

    async def stop(self) -> None:
        """Stop every motion but tracking, now."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def check_pulse(duration_s: float, info: MountInfo) -> None:
    """Reject a pulse that must not reach the hardware.

    Raises
    ------
    ValueError
        If the duration is not finite, negative, or above the mount's maximum.
    """
    if not math.isfinite(duration_s) or not 0 <= duration_s <= info.max_pulse_s:
        raise ValueError(f"{info.name}: pulse of {duration_s} s; allowed: 0 to {info.max_pulse_s:g} s")


def check_coordinates(ra_deg: float, dec_deg: float) -> None:
    """Reject coordinates that are not on the sky.

    Raises
    ------
    ValueError
        If either is not finite or the declination is beyond a pole.
    """
    if not math.isfinite(ra_deg):
        raise ValueError(f"right ascension is {ra_deg} degrees; allowed: a finite number")
    if not math.isfinite(dec_deg) or not -90 <= dec_deg <= 90:
        raise ValueError(f"declination is {dec_deg} degrees; allowed: -90 to 90")


def check_offset(dra_deg: float, ddec_deg: float) -> None:
    """Reject a shift of the pointing that must not reach the hardware.

    Raises
    ------
    ValueError
        If either is not finite, or they are larger than `MAX_OFFSET_DEG`.
    """
    if not math.hypot(dra_deg, ddec_deg) <= MAX_OFFSET_DEG:
        raise ValueError(f"offset is {dra_deg}, {ddec_deg} degrees; allowed: up to {MAX_OFFSET_DEG:g} degree in all")
