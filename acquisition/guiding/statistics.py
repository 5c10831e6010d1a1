"""How well it is guided: root mean squares over a run, and what else tells good guiding from bad.

In: the guider's events. Out: `GuidingStatistics`.
"""

from __future__ import annotations

import bisect
import math
from array import array
from dataclasses import dataclass

from acquisition.geometry import MountResponse
from acquisition.guiding.axis_summary import AxisSummary, axis_summary
from acquisition.guiding.events import Alarm, AxisStep, DitherBegan, Dropped, Event, GuidingBegan, Step
from acquisition.guiding.star_table import StarFigures, StarTable
from acquisition.mount import Direction

RECENT_S = 300.0
"""How far back the sliding figures look."""


@dataclass(frozen=True, slots=True)
class Rms:
    """Root mean square per axis and of both."""

    ra: float
    dec: float

    @property
    def total(self) -> float:
        return math.hypot(self.ra, self.dec)


class _Axis:
    """Running sums of one quantity."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = 0.0
        self.squares = 0.0  # about zero
        self.spread = 0.0  # about the mean (Welford)

    def add(self, value: float) -> None:
        self.n += 1
        self.squares += value * value
        delta = value - self.mean
        self.mean += delta / self.n
        self.spread += delta * (value - self.mean)


class _Track:
    """One axis over the run: what the summary is made of, px and s."""

    def __init__(self, positive: Direction) -> None:
        self._positive = positive
        self.kept_s = array("d")
        self.displacement = array("d")  # without settling frames
        self.motion_s = array("d")
        self.motion = array("d")  # without corrections
        self.pulses_s = array("d")
        self.limited = 0
        self.undone = 0.0  # by how much pulses and dithers have moved the star against the first lock

    def add(self, t_s: float, axis: AxisStep, rate: float, settling: bool) -> None:
        self.motion_s.append(t_s)
        self.motion.append(axis.displacement_px + self.undone)
        if not settling:
            self.kept_s.append(t_s)
            self.displacement.append(axis.displacement_px)
        if axis.direction is not None:
            signed_s = axis.pulse_s if axis.direction is self._positive else -axis.pulse_s
            self.pulses_s.append(signed_s)
            self.undone += signed_s * rate
        self.limited += axis.limited

    def begin(self) -> None:
        """A new lock: motion goes on from where it was."""
        self.undone = self.motion[-1] if self.motion else 0.0

    def summary(self) -> AxisSummary | None:
        if not self.displacement:
            return None
        return axis_summary(self.displacement, self.pulses_s, self.limited, self.motion_s, self.motion)

    def recent_rms(self) -> float:
        first = bisect.bisect_left(self.kept_s, self.kept_s[-1] - RECENT_S)
        last = self.displacement[first:]
        return math.sqrt(sum(value * value for value in last) / len(last))


class GuidingStatistics:
    """Collects a run's events; `listen` it to a guider.

    All are about the lock: sqrt(mean(displacement²)). The true ones (simulators only) leave out seeing and noise. What
    a simulator tells is true up to a constant, as the lock is where one frame saw the stars, seeing included; that
    constant follows from the means, for seeing and noise have none. Frames that settle after a dither do not count.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.lost_frames = 0
        self.pulses = 0
        self.limited_pulses = 0
        self.alarms: list[Alarm] = []
        self.scale_arcsec: float | None = None
        self.last: Step | None = None
        self._px = _Axis(), _Axis()
        self._true = _Axis(), _Axis()
        self._noise = _Axis()
        self._tracks = _Track(Direction.WEST), _Track(Direction.SOUTH)
        self._stars = StarTable()
        self._response: MountResponse | None = None

    def listen(self, event: Event) -> None:
        match event:
            case GuidingBegan():
                self.scale_arcsec = event.scale_arcsec
                self._response = event.response
                self._stars.begin()
                for track in self._tracks:
                    track.begin()
            case DitherBegan():
                for track, moved in zip(self._tracks, (event.ra_px, event.dec_px), strict=True):
                    track.undone += moved
            case Dropped():
                self.frames += 1
                self.lost_frames += 1
                for track, pulse_s, rate in zip(
                    self._tracks, (event.ra_pulse_s, event.dec_pulse_s), self._rates(), strict=True
                ):
                    track.undone += pulse_s * rate
            case Step():
                self._step(event)
            case Alarm():
                self.alarms.append(event)
            case _:
                pass

    @property
    def guided_s(self) -> float:
        """From the first measured frame to the last."""
        times = self._tracks[0].motion_s
        return times[-1] - times[0] if times else 0.0

    @property
    def rms_px(self) -> Rms | None:
        """Measured, px; None before the first frame."""
        ra, dec = self._px
        return Rms(math.sqrt(ra.squares / ra.n), math.sqrt(dec.squares / dec.n)) if ra.n else None

    @property
    def rms_arcsec(self) -> Rms | None:
        """Measured, arcsec; None where the pixel scale is not known."""
        rms = self.rms_px
        return None if rms is None or self.scale_arcsec is None else _scaled(rms, self.scale_arcsec)

    @property
    def true_rms_arcsec(self) -> Rms | None:
        """Noise-free, arcsec; simulators only."""
        if self.scale_arcsec is None or not self._true[0].n:
            return None
        ra, dec = (
            math.hypot(math.sqrt(true.spread / true.n), px.mean * self.scale_arcsec)
            for true, px in zip(self._true, self._px, strict=True)
        )
        return Rms(ra, dec)

    @property
    def recent_rms_px(self) -> Rms | None:
        """Measured, px, of the last `RECENT_S` seconds."""
        ra, dec = self._tracks
        return Rms(ra.recent_rms(), dec.recent_rms()) if ra.displacement else None

    @property
    def recent_rms_arcsec(self) -> Rms | None:
        """The same in arcsec; None where the pixel scale is not known."""
        rms = self.recent_rms_px
        return None if rms is None or self.scale_arcsec is None else _scaled(rms, self.scale_arcsec)

    @property
    def centroid_noise_px(self) -> float | None:
        """Of a measured displacement along x or y as the error bars have it, RMS; None where there are none."""
        return math.sqrt(self._noise.mean) if self._noise.n else None

    def axes(self) -> tuple[AxisSummary, AxisSummary] | None:
        """The figures of RA and Dec, worked out anew; None before the first frame."""
        ra, dec = (track.summary() for track in self._tracks)
        return None if ra is None or dec is None else (ra, dec)

    def stars(self) -> list[StarFigures]:
        """The guide stars of the last choice."""
        return self._stars.figures()

    def _rates(self) -> tuple[float, float]:
        """px per s of pulse."""
        response = self._response
        return (0.0, 0.0) if response is None else (response.ra.rate_px_per_s, response.dec.rate_px_per_s)

    def _step(self, step: Step) -> None:
        self.frames += 1
        self.last = step
        self._stars.add(step)
        if step.dx_err is not None and step.dy_err is not None:
            self._noise.add((step.dx_err**2 + step.dy_err**2) / 2)
        for track, axis, rate in zip(self._tracks, (step.ra, step.dec), self._rates(), strict=True):
            track.add(step.t_s, axis, rate, step.settling)
        for axis in (step.ra, step.dec):
            self.pulses += axis.direction is not None
            self.limited_pulses += axis.limited
        if step.settling:
            return
        for sums, axis in zip(self._px, (step.ra, step.dec), strict=True):
            sums.add(axis.displacement_px)
        if step.truth is not None:
            for sums, value in zip(self._true, (step.truth.ra_arcsec, step.truth.dec_arcsec), strict=True):
                sums.add(value)


def _scaled(rms: Rms, factor: float) -> Rms:
    return Rms(rms.ra * factor, rms.dec * factor)
