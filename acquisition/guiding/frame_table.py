"""What PHD2's log has no column for, as a table beside it: ``frames.csv``.

In: `Step`s and `Dropped` frames. Out: one line a frame, each flushed whole.
"""

from __future__ import annotations

import csv
import math
from typing import TextIO

from acquisition.camera import FrameTruth
from acquisition.guiding.events import Dropped, Event, Step

COLUMNS = (
    "frame", "utc", "exposure_s", "dx_px", "dy_px", "dx_err_px", "dy_err_px", "stars_used", "stars", "hfd_px", "snr",
    "ra_px", "dec_px", "ra_pulse_s", "dec_pulse_s", "ra_expected_rms_px", "dec_expected_rms_px", "settling",
    "true_ra_arcsec", "true_dec_arcsec", "lost",
)  # fmt: skip


class FrameTable:
    """Listens to a guider and writes a row a frame; what is not known is left empty. Pulses: West, South positive."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        self._writer.writeheader()

    def listen(self, event: Event) -> None:
        match event:
            case Step():
                self._writer.writerow(_row(event))
            case Dropped():
                pulses = {"ra_pulse_s": event.ra_pulse_s, "dec_pulse_s": event.dec_pulse_s}
                self._writer.writerow({"frame": event.frame, "lost": event.reason, **pulses})
            case _:
                return
        self._stream.flush()


def _row(step: Step) -> dict[str, object]:
    used = [star for star in step.stars if star.used]
    best = max(used, key=lambda star: star.snr, default=None)
    truth: FrameTruth | None = step.truth
    signs = [1 if axis.direction is None or axis.direction.value in "WS" else -1 for axis in (step.ra, step.dec)]
    return {
        "frame": step.frame,
        "utc": step.utc.isoformat(timespec="milliseconds"),
        "exposure_s": step.exposure_s,
        "dx_px": _rounded(step.dx),
        "dy_px": _rounded(step.dy),
        "dx_err_px": _rounded(step.dx_err),
        "dy_err_px": _rounded(step.dy_err),
        "stars_used": len(used),
        "stars": len(step.stars),
        "hfd_px": _rounded(best.hfd if best else None),
        "snr": _rounded(best.snr if best else None),
        "ra_px": _rounded(step.ra.displacement_px),
        "dec_px": _rounded(step.dec.displacement_px),
        "ra_pulse_s": signs[0] * step.ra.pulse_s,
        "dec_pulse_s": signs[1] * step.dec.pulse_s,
        "ra_expected_rms_px": _rounded(step.ra.expected_rms_px),
        "dec_expected_rms_px": _rounded(step.dec.expected_rms_px),
        "settling": int(step.settling),
        "true_ra_arcsec": _rounded(truth.ra_arcsec if truth else None),
        "true_dec_arcsec": _rounded(truth.dec_arcsec if truth else None),
    }


def _rounded(value: float | None) -> float | str:
    return "" if value is None or not math.isfinite(value) else round(value, 4)
