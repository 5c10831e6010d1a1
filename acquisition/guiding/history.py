"""A run's steps in short, for graphs.

In: `Step`s, `Dropped` frames and dithers. Out: one `Point` a frame.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from acquisition.guiding.events import AxisStep, DitherBegan, Dropped, Event, GuidingBegan, Step
from acquisition.mount import Direction


@dataclass(frozen=True, slots=True)
class Point:
    """One frame; displacements in px, pulses in s (positive: West, South), None where the frame was lost."""

    t_s: float  # since guiding began
    ra_px: float | None
    dec_px: float | None
    ra_pulse_s: float
    dec_pulse_s: float
    snr: float | None
    settling: bool = False


class History:
    """Listens to a guider and keeps its last `length` points (None: all) and its dithers' times."""

    def __init__(self, length: int | None = None) -> None:
        self.points: deque[Point] = deque(maxlen=length)
        self.dithers: deque[float] = deque(maxlen=length)
        self.scale_arcsec: float | None = None
        self._began_s: float | None = None

    def listen(self, event: Event) -> None:
        match event:
            case GuidingBegan():
                self._began_s = event.t_s if self._began_s is None else self._began_s
                self.scale_arcsec = event.scale_arcsec
            case Step():
                snr = max((star.snr for star in event.stars if star.used), default=None)
                self.points.append(
                    Point(
                        self._since(event), event.ra.displacement_px, event.dec.displacement_px,
                        _signed(event.ra, Direction.WEST), _signed(event.dec, Direction.SOUTH), snr, event.settling,
                    )
                )  # fmt: skip
            case Dropped():
                self.points.append(Point(self._since(event), None, None, event.ra_pulse_s, event.dec_pulse_s, None))
            case DitherBegan():
                self.dithers.append(self._since(event))
            case _:
                pass

    def _since(self, event: Step | Dropped | DitherBegan) -> float:
        return event.t_s - (event.t_s if self._began_s is None else self._began_s)


def _signed(axis: AxisStep, positive: Direction) -> float:
    return axis.pulse_s if axis.direction is positive else -axis.pulse_s
