"""What goes wrong in a night, and when: a schedule of faults.

In: `Fault` values, from a scenario's ``[[faults]]``. Out: what each device asks about an instant or an interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from acquisition.errors import ConfigError

from .process import Floats
from .setup import MountSpec

KINDS = {
    # kind: what it does; `amount`'s unit where it has one
    "hang": "camera: exposures that begin meanwhile never end",
    "unplug": "camera: gone; it must be opened anew when it is back",
    "drop": "camera: frames that begin meanwhile are lost on the way",
    "duplicate": "camera: the frame before comes once more",
    "late": "camera: frames come `amount` seconds late",
    "cable-drag": "mount: pulled north by `amount` arcsec in the course of `duration_s`, then let go",
    "loose-cable": "mount: guide pulses that begin meanwhile move nothing, and nobody is told",
    "power-cycle": "mount: gone, without tracking; both come back",
    "meridian": "mount: stops tracking at its limit, until told to track or slew",
    "cloud": "weather: `amount` magnitudes of extinction; a tenth of `duration_s` each to come and to go",
    "gust": "weather: strikes the mount, which swings on its resonance with a first peak of `amount` arcsec",
}
INSTANT = ("gust", "meridian")
WITH_AMOUNT = {"late": 3.0, "cable-drag": 5.0, "cloud": 2.0, "gust": 5.0}
"""Kinds that have an amount, and what it is unless said."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One event.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    at_s : float
        Since the world began.
    duration_s : float
        Without meaning for a gust and the meridian.
    amount : float or None
        See `KINDS`; None takes `WITH_AMOUNT`'s.
    every_s : float
        Above 0: it comes again and again, so long after the time before.
    """

    kind: str
    at_s: float
    duration_s: float = 30.0
    amount: float | None = None
    every_s: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"fault kind is {self.kind!r}; allowed: {', '.join(KINDS)}")
        if self.amount is not None and self.kind not in WITH_AMOUNT:
            raise ConfigError(f"fault {self.kind!r} has no amount; allowed for: {', '.join(WITH_AMOUNT)}")
        for name in ("at_s", "duration_s", "every_s", "amount"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"fault {self.kind!r}: {name} is {value}; allowed: a finite number, 0 or above")
        if 0 < self.every_s <= self.duration_s and self.kind not in INSTANT:
            raise ConfigError(f"fault {self.kind!r}: every_s is {self.every_s:g}; allowed: more than duration_s")

    @property
    def size(self) -> float:
        return WITH_AMOUNT.get(self.kind, 0.0) if self.amount is None else self.amount

    def begins(self, until_s: float) -> Iterator[float]:
        """When it begins, as often as it does so up to an instant."""
        begin_s = self.at_s
        while begin_s <= until_s:
            yield begin_s
            if self.every_s <= 0:
                return
            begin_s += self.every_s

    def began(self, now_s: float) -> float | None:
        """When it last began before or at an instant; None if it never did."""
        if now_s < self.at_s:
            return None
        return self.at_s + (math.floor((now_s - self.at_s) / self.every_s) * self.every_s if self.every_s > 0 else 0.0)


class Faults:
    """A night's schedule."""

    def __init__(self, faults: Sequence[Fault], mount: MountSpec) -> None:
        self._faults = tuple(faults)
        self._kinds = frozenset(fault.kind for fault in faults)
        self._mount = mount

    def has(self, *kinds: str) -> bool:
        """Whether there is any of these kinds in the night."""
        return not self._kinds.isdisjoint(kinds)

    def active(self, kind: str, now_s: float) -> Fault | None:
        """The fault of a kind that lasts at an instant."""
        for fault in self._faults:
            if fault.kind == kind:
                began_s = fault.began(now_s)
                if began_s is not None and now_s < began_s + fault.duration_s:
                    return fault
        return None

    def next_s(self, kind: str, now_s: float) -> float:
        """When a fault of a kind begins next, after an instant; infinity if never."""
        nexts = [math.inf]
        for fault in self._faults:
            if fault.kind == kind:
                began_s = fault.began(now_s)
                if began_s is None:
                    nexts.append(fault.at_s)
                elif fault.every_s > 0:
                    nexts.append(began_s + fault.every_s)
        return min(nexts)

    def last_begin_s(self, kind: str, now_s: float) -> float:
        """When a fault of a kind last began before or at an instant; -infinity if never."""
        begins = [fault.began(now_s) for fault in self._faults if fault.kind == kind]
        return max((begin for begin in begins if begin is not None), default=-math.inf)

    def tracking_changes(self, after_s: float, until_s: float) -> list[tuple[float, bool]]:
        """When faults stop tracking (False) and when it comes back (True), in order."""
        changes = []
        for fault in self._faults:
            if fault.kind in ("meridian", "power-cycle"):
                for begin_s in fault.begins(until_s):
                    changes.append((begin_s, False))
                    if fault.kind == "power-cycle":
                        changes.append((begin_s + fault.duration_s, True))
        return sorted(change for change in changes if after_s < change[0] <= until_s)

    def cloud_mag(self, times_s: Floats) -> Floats:
        """Extinction by clouds that were ordered."""
        depth = np.zeros(len(times_s))
        for fault, since_s in self._since("cloud", times_s):
            ramp = max(fault.duration_s / 10, 1e-9)
            depth += fault.size * np.clip(np.minimum(since_s, fault.duration_s - since_s) / ramp, 0, 1)
        return depth

    def pointing_arcsec(self, times_s: Floats) -> tuple[Floats, Floats]:
        """What gusts and cables do to the pointing, on the mount's axes."""
        ra, dec = np.zeros(len(times_s)), np.zeros(len(times_s))
        omega, damping = 2 * math.pi * self._mount.wind_resonance_hz, self._mount.wind_damping
        ringing = omega * math.sqrt(1 - damping**2)
        first_peak = math.exp(-damping * omega * (math.atan2(ringing, damping * omega) / ringing)) * ringing / omega
        for fault, since_s in self._since("gust", times_s):
            since_s = np.maximum(since_s, 0)
            swing = fault.size / first_peak * np.exp(-damping * omega * since_s) * np.sin(ringing * since_s)
            ra += swing * math.sqrt(0.5)
            dec += swing * math.sqrt(0.5)
        for fault, since_s in self._since("cable-drag", times_s):
            pulled = (since_s >= 0) & (since_s < fault.duration_s)
            dec += np.where(pulled, fault.size * since_s / max(fault.duration_s, 1e-9), 0.0)
        return ra, dec

    def _since(self, kind: str, times_s: Floats) -> Iterator[tuple[Fault, Floats]]:
        """Each fault of a kind that had begun at the last of these times, and the times since; negative before."""
        for fault in self._faults:
            if fault.kind == kind:
                begins = {fault.began(float(times_s[0])), fault.began(float(times_s[-1]))} - {None}
                for begin_s in sorted(begin for begin in begins if begin is not None):
                    yield fault, times_s - begin_s
