"""How well it is guided: root mean squares over a run.

In: `Step`s and `Dropped` frames. Out: `GuidingStatistics`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from acquisition.guiding.events import Dropped, Event, GuidingBegan, Step


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
        self.scale_arcsec: float | None = None
        self.last: Step | None = None
        self._px = _Axis(), _Axis()
        self._true = _Axis(), _Axis()

    def listen(self, event: Event) -> None:
        match event:
            case GuidingBegan():
                self.scale_arcsec = event.scale_arcsec
            case Dropped():
                self.frames += 1
                self.lost_frames += 1
            case Step():
                self._step(event)
            case _:
                pass

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

    def _step(self, step: Step) -> None:
        self.frames += 1
        self.last = step
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
