"""From corrections to guide pulses.

In: corrections in px along the mount's axes. Out: pulses at the mount, and what was really sent.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from acquisition.errors import DeviceTimeout
from acquisition.geometry import MountAxis
from acquisition.mount import Direction, Mount

Mode: TypeAlias = Literal["auto", "off", "north", "south", "east", "west"]

_GRACE_S = 5.0
"""How much longer than asked for a pulse may take before the mount counts as failing."""


@dataclass(frozen=True, slots=True)
class AxisLimits:
    """What may be sent on one axis.

    Parameters
    ----------
    max_pulse_s : float
        Longest pulse, s.
    mode : str
        ``auto``, ``off``, or the one direction that is allowed.
    min_pulse_s : float
        Shorter ones are not sent, s; nor are those that the mount says do nothing.
    max_net_pulse_s : float
        Pulses of one direction less those of the other may add up to so much, s: the axis' total excursion.
    """

    max_pulse_s: float = 2.5
    mode: Mode = "auto"
    min_pulse_s: float = 0.0
    max_net_pulse_s: float = 600.0

    def __post_init__(self) -> None:
        if not 0 < self.max_pulse_s <= 10:
            raise ValueError(f"max_pulse_s is {self.max_pulse_s}; allowed: above 0, to 10 s")
        if not 0 <= self.min_pulse_s <= self.max_pulse_s:
            raise ValueError(f"min_pulse_s is {self.min_pulse_s}; allowed: 0 to max_pulse_s, {self.max_pulse_s:g} s")
        if not self.max_net_pulse_s > 0:
            raise ValueError(f"max_net_pulse_s is {self.max_net_pulse_s}; allowed: above 0 s")


@dataclass(frozen=True, slots=True)
class Pulse:
    """A planned pulse; `direction` None means none. `sent_px` has the correction's sign."""

    direction: Direction | None
    duration_s: float
    sent_px: float
    limited: bool

    @property
    def signed_s(self) -> float:
        """Its duration, with the correction's sign."""
        return math.copysign(self.duration_s, self.sent_px)


NO_PULSE = Pulse(None, 0.0, 0.0, False)


def plan_pulse(
    correction_px: float, axis: MountAxis, limits: AxisLimits, positive: Direction, min_pulse_s: float
) -> Pulse:
    """The pulse that makes a correction, rounded to the millisecond.

    Parameters
    ----------
    correction_px : float
        Along the axis; not finite or too small for the mount: no pulse.
    axis : MountAxis
    limits : AxisLimits
    positive : Direction
        Which way a positive correction goes: West on RA, South on Dec.
    min_pulse_s : float
        The mount's.
    """
    if not math.isfinite(correction_px) or correction_px == 0:
        return NO_PULSE
    direction = positive if correction_px > 0 else positive.opposite
    if limits.mode != "auto" and limits.mode != direction.name.lower():
        return NO_PULSE
    wanted_s = round(abs(correction_px) / axis.rate_px_per_s, 3)
    duration_s = min(wanted_s, limits.max_pulse_s)
    if duration_s < max(min_pulse_s, limits.min_pulse_s, 0.001):
        return NO_PULSE
    return Pulse(
        direction, duration_s, math.copysign(duration_s * axis.rate_px_per_s, correction_px), wanted_s > duration_s
    )


async def send(mount: Mount, *pulses: Pulse) -> None:
    """Send pulses, at the same time where the mount allows, one after the other otherwise; returns when all ended.

    Raises
    ------
    DeviceError
        As `Mount.pulse_guide`; `DeviceTimeout` when a pulse does not end. No pulse is left running.
    """
    real = [(pulse.direction, pulse.duration_s) for pulse in pulses if pulse.direction is not None]
    if mount.info.parallel_pulses and real:
        await _send(mount, *real)
        return
    for pulse in real:
        await _send(mount, pulse)


async def _send(mount: Mount, *pulses: tuple[Direction, float]) -> None:
    """At the same time."""
    longest_s = max(duration_s for _, duration_s in pulses)
    try:
        async with asyncio.timeout(longest_s + _GRACE_S):
            await _together(mount, *pulses)
    except TimeoutError:
        ways = " and ".join(direction.name.lower() for direction, _ in pulses)
        raise DeviceTimeout(
            f"{mount.info.name}: {ways} pulse of {longest_s:g} s had not ended {_GRACE_S:g} s after its time"
        ) from None


async def _together(mount: Mount, pulse: tuple[Direction, float], *others: tuple[Direction, float]) -> None:
    """All but the last in tasks of their own; whatever happens to one, all have ended then."""
    if not others:
        await mount.pulse_guide(*pulse)
        return
    beside = asyncio.create_task(mount.pulse_guide(*pulse))
    try:
        await _together(mount, *others)
    except asyncio.CancelledError:
        beside.cancel()
        raise
    finally:
        await beside
