"""What PHD2's log has no column for, as a table beside it: ``frames.csv``.

In: `Step`s and `Dropped` frames. Out: one line a frame, each flushed whole.
"""

from __future__ import annotations

import csv
import math
from operator import attrgetter
from typing import TextIO

from acquisition.camera import FrameTruth
from acquisition.guiding.events import Dropped, Event, Step
from acquisition.mount import Direction

COLUMNS = (
    "frame", "utc", "exposure_s", "dx_px", "dy_px", "dx_err_px", "dy_err_px", "stars_used", "stars", "hfd_px", "snr",
    "ra_px", "dec_px", "ra_pulse_s", "dec_pulse_s", "ra_expected_rms_px", "dec_expected_rms_px", "settling",
    "true_ra_arcsec", "true_dec_arcsec", "lost",
)  # fmt: skip


class FrameTable:
    """Listens to a guider and writes a row a frame; what is not known is left empty. Pulses: West, South positive."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def listen(self, event: Event) -> None:
        match event:
            case Step():
                self._writer.writerow(_row(event))
            case Dropped():
                known = {
                    "frame": event.frame, "ra_pulse_s": event.ra_pulse_s, "dec_pulse_s": event.dec_pulse_s,
                    "lost": event.reason,
                }  # fmt: skip
                self._writer.writerow(known.get(column, "") for column in COLUMNS)
            case _:
                return
        self._stream.flush()


def _row(step: Step) -> tuple[object, ...]:
    """In the order of `COLUMNS`."""
    used = [star for star in step.stars if star.used]
    best = max(used, key=_snr, default=None)
    truth: FrameTruth | None = step.truth
    ra, dec = step.ra, step.dec
    return (
        step.frame,
        step.utc.isoformat(timespec="milliseconds"),
        step.exposure_s,
        _rounded(step.dx),
        _rounded(step.dy),
        _rounded(step.dx_err),
        _rounded(step.dy_err),
        len(used),
        len(step.stars),
        _rounded(best.hfd if best else None),
        _rounded(best.snr if best else None),
        _rounded(ra.displacement_px),
        _rounded(dec.displacement_px),
        -ra.pulse_s if ra.direction is Direction.EAST else ra.pulse_s,
        -dec.pulse_s if dec.direction is Direction.NORTH else dec.pulse_s,
        _rounded(ra.expected_rms_px),
        _rounded(dec.expected_rms_px),
        int(step.settling),
        _rounded(truth.ra_arcsec if truth else None),
        _rounded(truth.dec_arcsec if truth else None),
        "",
    )


_snr = attrgetter("snr")


def _rounded(value: float | None) -> float | str:
    return "" if value is None or not math.isfinite(value) else round(value, 4)
