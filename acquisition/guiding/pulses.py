"""Corrections sent as guide pulses, within limits.

In: corrections in px along the mount's axes. Out: pulses at the mount; alarms when a limit holds guiding back.
"""

from __future__ import annotations

from dataclasses import replace

from acquisition.geometry import MountResponse
from acquisition.guiding.announcer import Announcer
from acquisition.guiding.apply import NO_PULSE, AxisLimits, Pulse, plan_pulse
from acquisition.guiding.events import AlarmKind
from acquisition.guiding.watched_mount import WatchedMount
from acquisition.mount import Direction

_LIMITED_RUNNING = 5  # pulses in one direction, each cut, before it is told (PHD2's number)


class Pulses:
    """Sends pulses and remembers how far they went.

    Parameters
    ----------
    mount : WatchedMount
    response : MountResponse
    ra, dec : AxisLimits
    announcer : Announcer
    """

    def __init__(
        self, mount: WatchedMount, response: MountResponse, ra: AxisLimits, dec: AxisLimits, announcer: Announcer
    ) -> None:
        self._mount = mount
        axes = ("RA", response.ra, ra, Direction.WEST), ("Dec", response.dec, dec, Direction.SOUTH)
        self._axes = axes
        self._announcer = announcer
        self._net_s = [0.0, 0.0]
        self._limited = [0, 0]  # running, negative for the negative direction
        self._told: set[tuple[str, AlarmKind]] = set()

    async def send(self, corrections_px: tuple[float, float], both_ways: bool = False) -> tuple[Pulse, Pulse]:
        """Send corrections, RA and Dec at the same time where the mount allows; returns what was sent.

        Parameters
        ----------
        corrections_px : (float, float)
            RA and Dec.
        both_ways : bool
            Axes that may go one way only may go both.
        """
        shortest_s = self._mount.info.min_pulse_s
        ra, dec = [self._plan(i, correction, both_ways, shortest_s) for i, correction in enumerate(corrections_px)]
        if ra.direction is None and dec.direction is None:
            return ra, dec
        if not await self._mount.try_pulse(ra, dec):
            return NO_PULSE, NO_PULSE
        for i, pulse in enumerate((ra, dec)):
            self._net_s[i] += pulse.signed_s
            self._watch_limited(i, pulse)
        return ra, dec

    def _plan(self, i: int, correction_px: float, both_ways: bool, shortest_s: float) -> Pulse:
        name, axis, limits, positive = self._axes[i]
        if both_ways and limits.mode != "off":
            limits = replace(limits, mode="auto")
        pulse = plan_pulse(correction_px, axis, limits, positive, shortest_s)
        net_s = self._net_s[i] + pulse.signed_s
        if abs(net_s) <= limits.max_net_pulse_s or abs(net_s) < abs(self._net_s[i]):
            return pulse
        assert pulse.direction is not None
        way = pulse.direction.name.lower()
        self._alarm(
            name, AlarmKind.EXCURSION,
            f"{name}: {way} pulses add up to {abs(self._net_s[i]):.1f} s, and {limits.max_net_pulse_s:g} s are "
            f"allowed: no more {way} pulses; check tracking and polar alignment, or raise max_net_pulse_s",
        )  # fmt: skip
        return NO_PULSE

    def _watch_limited(self, i: int, pulse: Pulse) -> None:
        before, side = self._limited[i], 1 if pulse.sent_px > 0 else -1
        self._limited[i] = side + (before if before * side > 0 else 0) if pulse.limited else 0
        if abs(self._limited[i]) >= _LIMITED_RUNNING:
            name, _, limits, _ = self._axes[i]
            self._alarm(
                name, AlarmKind.PULSES_TOO_SHORT,
                f"{name}: {_LIMITED_RUNNING} pulses running were cut to {limits.max_pulse_s:g} s: the mount moves "
                "faster than they correct; check tracking and balance, or raise max_pulse_s or the guide rate",
            )  # fmt: skip

    def _alarm(self, name: str, kind: AlarmKind, text: str) -> None:
        if (name, kind) not in self._told:
            self._told.add((name, kind))
            self._announcer.alarm(kind, text)
