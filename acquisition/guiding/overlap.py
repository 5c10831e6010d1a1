"""What pulses that run during an exposure do to it.

In: pulses, as they end. Out: how much of what was sent a frame has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from acquisition.guiding.apply import Pulse

_SAME_S = 1e-6


@dataclass(frozen=True, slots=True)
class Ramp:
    """A pulse: when it ran, and how far it moved the star, px."""

    begin_s: float
    end_s: float
    px: float

    def unseen(self, start_s: float, end_s: float) -> float:
        """How much farther the star is after the pulse than it was in the mean of an exposure, px."""
        if start_s >= self.end_s - _SAME_S:
            return 0.0
        if end_s <= self.begin_s:
            return self.px
        if end_s <= start_s:
            return self.px * (self.end_s - start_s) / (self.end_s - self.begin_s)
        return self.px * (1 - (self._moved_s(end_s) - self._moved_s(start_s)) / (end_s - start_s))

    def _moved_s(self, t_s: float) -> float:
        """Integral of the share of the pulse that is over, up to a time."""
        within_s = min(max(t_s - self.begin_s, 0.0), self.end_s - self.begin_s)
        before_s = within_s**2 / (2 * (self.end_s - self.begin_s)) if within_s else 0.0
        return before_s + max(t_s - self.end_s, 0.0)


class RecentPulses:
    """The pulses that frames to come may not have seen in full."""

    def __init__(self) -> None:
        self._ramps: tuple[list[Ramp], list[Ramp]] = ([], [])

    def ended(self, now_s: float, ra: Pulse, dec: Pulse, in_parallel: bool) -> None:
        """The mount has just made these; what it took longer than they last, it took before them."""
        if in_parallel:
            begins = [now_s - max(ra.duration_s, dec.duration_s)] * 2
        else:
            begins = [now_s - ra.duration_s - dec.duration_s, now_s - dec.duration_s]
        for ramps, pulse, begin_s in zip(self._ramps, (ra, dec), begins, strict=True):
            if pulse.direction is not None:
                ramps.append(Ramp(begin_s, begin_s + pulse.duration_s, pulse.sent_px))

    def unseen(self, start_s: float, end_s: float) -> tuple[float, float]:
        """How much of what was sent on RA and Dec a frame has not seen, px; frames come in order."""
        if not any(self._ramps):
            return 0.0, 0.0
        for ramps in self._ramps:
            ramps[:] = [ramp for ramp in ramps if ramp.end_s > start_s]
        ra, dec = (sum(ramp.unseen(start_s, end_s) for ramp in ramps) for ramps in self._ramps)
        return ra, dec
