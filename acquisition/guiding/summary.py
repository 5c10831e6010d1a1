"""What a guiding log amounts to: figures of one section.

In: a `GuidingSection` of anybody's PHD2-format log. Out: `SectionSummary`; px of the guide camera, arcsec where the log
states the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ConfigError
from acquisition.guidelog import DropRow, GuideRow, GuidingSection, open_loop

_STEADY_FRAMES = 20
"""Fewer than these say nothing about drift or oscillation."""


@dataclass(frozen=True, slots=True)
class AxisSummary:
    """One axis.

    Attributes
    ----------
    rms_px, peak_px : float
        Of the displacement from the lock.
    pulses, limited : int
        Sent, and as long as the longest allowed.
    turns : float
        Share of pulses that go against the one before: near 1 the axis oscillates, near 0 it chases a drift.
    lag_one : float
        Correlation of a displacement with the next: clearly negative means overcorrection, clearly positive lag.
    drift_px_per_min : float or None
        Slope of the open-loop motion; None where the log does not tell.
    """

    rms_px: float
    peak_px: float
    pulses: int
    limited: int
    turns: float
    lag_one: float
    drift_px_per_min: float | None


@dataclass(frozen=True, slots=True)
class SectionSummary:
    """One section.

    `jitter_px` is what no guiding at this cadence could remove, seeing and centroid noise, RMS of the better axis. It
    comes from third differences of the open-loop motion, which slow motion does not reach (white noise of variance s²
    gives them 20 s²).
    """

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
        motion = open_loop(section)
        drifts: tuple[float | None, float | None] = _slope(motion.t_s, motion.ra_px), _slope(motion.t_s, motion.dec_px)
        jitter = _jitter(motion.ra_px, motion.dec_px)
    except ConfigError:
        drifts, jitter = (None, None), None
    steady = _steady(section)
    limits = section.setting("Max RA duration"), section.setting("Max DEC duration")
    return SectionSummary(
        frames=len(section.rows),
        lost=sum(isinstance(row, DropRow) for row in section.rows),
        saturated=sum(row.error_code == 1 for row in rows),
        duration_s=section.rows[-1].time_s,
        cadence_s=float(np.median(np.diff(times))) if len(times) > 1 else 0.0,
        scale_arcsec=section.setting("Pixel scale"),
        median_snr=float(np.median([row.snr for row in rows])),
        dithers=sum(text.startswith("DITHER") for _, text in section.infos),
        ra=_axis(
            [row.ra_raw for row in steady],
            [row.ra_ms * (1 if row.ra_direction == "W" else -1) for row in rows if row.ra_direction],
            limits[0],
            drifts[0],
        ),
        dec=_axis(
            [row.dec_raw for row in steady],
            [row.dec_ms * (1 if row.dec_direction == "S" else -1) for row in rows if row.dec_direction],
            limits[1],
            drifts[1],
        ),
        jitter_px=jitter,
    )


def _steady(section: GuidingSection) -> list[GuideRow]:
    """Measured rows outside of settling (all rows, if there are no others)."""
    changes = {after: text.endswith("started") for after, text in section.infos if text.startswith("SETTLING")}
    rows, settling = [], False
    for i, row in enumerate(section.rows):
        settling = changes.get(i, settling)
        if isinstance(row, GuideRow) and not settling:
            rows.append(row)
    return rows or [row for row in section.rows if isinstance(row, GuideRow)]


def _axis(displacements: list[float], pulses_ms: list[int], limit_ms: float | None, drift: float | None) -> AxisSummary:
    d = np.array(displacements)
    signs = np.sign(pulses_ms)
    centred = d - d.mean()
    power = float(centred @ centred)
    return AxisSummary(
        rms_px=math.sqrt(float(np.mean(d * d))),
        peak_px=float(np.abs(d).max()),
        pulses=len(pulses_ms),
        limited=0 if limit_ms is None else sum(abs(pulse) >= limit_ms for pulse in pulses_ms),
        turns=float(np.mean(signs[1:] != signs[:-1])) if len(signs) > 1 else 0.0,
        lag_one=float(centred[1:] @ centred[:-1]) / power if power > 0 else 0.0,
        drift_px_per_min=drift,
    )


def _slope(t_s: NDArray[np.float64], px: NDArray[np.float64]) -> float | None:
    if len(t_s) < _STEADY_FRAMES:
        return None
    return float(np.polyfit(t_s, px, 1)[0]) * 60


def _jitter(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> float | None:
    if len(ra) < _STEADY_FRAMES:
        return None
    return min(math.sqrt(float(np.mean(np.diff(axis, 3) ** 2)) / 20) for axis in (ra, dec))
