"""What a guiding log amounts to: figures of one section.

In: a `GuidingSection` of anybody's PHD2-format log. Out: `SectionSummary`; px of the guide camera, arcsec where the log
states the scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acquisition.errors import ConfigError
from acquisition.guidelog import DropRow, GuideRow, GuidingSection, OpenLoop, open_loop
from acquisition.guiding.axis_summary import AxisSummary, axis_summary, least_jitter_px


@dataclass(frozen=True, slots=True)
class SectionSummary:
    """One section; `jitter_px` is that of the better axis."""

    frames: int
    lost: int
    saturated: int
    duration_s: float
    cadence_s: float
    scale_arcsec: float | None
    median_snr: float
    dithers: int
    ra: AxisSummary
    dec: AxisSummary
    jitter_px: float | None


def summarise(section: GuidingSection) -> SectionSummary:
    """The figures of a section; frames that settle after a dither are left out of the RMS.

    Raises
    ------
    ConfigError
        If no frame has a star.
    """
    rows = [row for row in section.rows if isinstance(row, GuideRow)]
    if not rows:
        raise ConfigError(f"guiding of {section.begins}: no frame has a star")
    times = np.array([row.time_s for row in rows])
    try:
        motion: OpenLoop | None = open_loop(section)
    except ConfigError:
        motion = None
    steady = _steady(section)
    ra = axis_summary(
        [row.ra_raw for row in steady],
        *_pulses([row.ra_ms * (1 if row.ra_direction == "W" else -1) for row in rows if row.ra_direction],
                 section.setting("Max RA duration")),
        *((times, None) if motion is None else (motion.t_s, motion.ra_px)),
    )  # fmt: skip
    dec = axis_summary(
        [row.dec_raw for row in steady],
        *_pulses([row.dec_ms * (1 if row.dec_direction == "S" else -1) for row in rows if row.dec_direction],
                 section.setting("Max DEC duration")),
        *((times, None) if motion is None else (motion.t_s, motion.dec_px)),
    )  # fmt: skip
    return SectionSummary(
        frames=len(section.rows),
        lost=sum(isinstance(row, DropRow) for row in section.rows),
        saturated=sum(row.error_code == 1 for row in rows),
        duration_s=section.rows[-1].time_s,
        cadence_s=float(np.median(np.diff(times))) if len(times) > 1 else 0.0,
        scale_arcsec=section.setting("Pixel scale"),
        median_snr=float(np.median([row.snr for row in rows])),
        dithers=sum(text.startswith("DITHER") for _, text in section.infos),
        ra=ra,
        dec=dec,
        jitter_px=least_jitter_px(ra, dec),
    )


def settling_rows(section: GuidingSection) -> list[bool]:
    """Of every row, whether a dither was settling."""
    changes = {after: text.endswith("started") for after, text in section.infos if text.startswith("SETTLING")}
    out, settling = [], False
    for i in range(len(section.rows)):
        settling = changes.get(i, settling)
        out.append(settling)
    return out


def _steady(section: GuidingSection) -> list[GuideRow]:
    """Measured rows outside of settling (all rows, if there are no others)."""
    pairs = zip(section.rows, settling_rows(section), strict=True)
    rows = [row for row, settling in pairs if isinstance(row, GuideRow) and not settling]
    return rows or [row for row in section.rows if isinstance(row, GuideRow)]


def _pulses(pulses_ms: list[int], limit_ms: float | None) -> tuple[list[int], int]:
    """Pulses, and how many of them are as long as the longest allowed."""
    return pulses_ms, 0 if limit_ms is None else sum(abs(pulse) >= limit_ms for pulse in pulses_ms)
