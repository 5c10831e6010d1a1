"""Figures of one guided axis, of a run of ours or of anybody's log.

In: displacements, pulses, and the motion that there would have been without pulses. Out: `AxisSummary`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_ENOUGH_FRAMES = 20
"""Fewer than these say nothing about drift, jitter or oscillation."""

POLAR_ARCMIN_PER_ARCSEC_PER_MIN = 1 / 0.2625
"""Polar misalignment that makes a Dec drift of 1 arcsec per minute where it drifts most (ω = 0.2625"/min per arcmin).

Elsewhere the same drift takes more misalignment, so what follows is a lower limit."""


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
        The oscillation index: share of pulses that go against the one before; near 1 the axis oscillates, near 0 it
        chases a drift.
    lag_one : float
        Correlation of a displacement with the next: clearly negative means overcorrection, clearly positive lag.
    drift_px_per_min : float or None
        Slope of the open-loop motion; None where it is not known.
    jitter_px : float or None
        What no guiding at this cadence could remove, seeing, noise and the fastest motion, RMS; from third differences
        of the open-loop motion, which slow motion does not reach (white noise of variance s² gives them 20 s²).
    """

    rms_px: float
    peak_px: float
    pulses: int
    limited: int
    turns: float
    lag_one: float
    drift_px_per_min: float | None
    jitter_px: float | None

    def polar_error_arcmin(self, scale_arcsec: float | None) -> float | None:
        """Of Dec: by how much the polar axis is off at least; None where drift or scale (per px) are not known."""
        if self.drift_px_per_min is None or scale_arcsec is None:
            return None
        return abs(self.drift_px_per_min) * scale_arcsec * POLAR_ARCMIN_PER_ARCSEC_PER_MIN


def axis_summary(
    displacement_px: ArrayLike, pulses_s: ArrayLike, limited: int, t_s: ArrayLike, open_loop_px: ArrayLike | None
) -> AxisSummary:
    """The figures of an axis.

    Parameters
    ----------
    displacement_px : array (n,), n > 0
        From the lock, of the frames that count.
    pulses_s : array (m,)
        Those that were sent, signed.
    limited : int
        How many of them were cut.
    t_s, open_loop_px : array (k,)
        Motion without guiding, of all frames with a star; None where it is not known.
    """
    d = np.asarray(displacement_px, np.float64)
    signs = np.sign(np.asarray(pulses_s, np.float64))
    centred = d - d.mean()
    power = float(centred @ centred)
    motion = None if open_loop_px is None else np.asarray(open_loop_px, np.float64)
    return AxisSummary(
        rms_px=math.sqrt(float(np.mean(d * d))),
        peak_px=float(np.abs(d).max()),
        pulses=len(signs),
        limited=limited,
        turns=float(np.mean(signs[1:] != signs[:-1])) if len(signs) > 1 else 0.0,
        lag_one=float(centred[1:] @ centred[:-1]) / power if power > 0 else 0.0,
        drift_px_per_min=None if motion is None else _slope(np.asarray(t_s, np.float64), motion),
        jitter_px=None if motion is None else _jitter(motion),
    )


def least_jitter_px(ra: AxisSummary, dec: AxisSummary) -> float | None:
    """Of the better axis: seeing and noise are alike on both, what else there is comes from the mount."""
    known = [axis.jitter_px for axis in (ra, dec) if axis.jitter_px is not None]
    return min(known, default=None)


def unguidable_share(axis: AxisSummary, jitter_px: float | None) -> float | None:
    """Share of an axis' variance that seeing and noise make; None where they are not known."""
    if jitter_px is None or axis.rms_px == 0:
        return None
    return min(1.0, (jitter_px / axis.rms_px) ** 2)


def _slope(t_s: FloatArray, px: FloatArray) -> float | None:
    if len(t_s) < _ENOUGH_FRAMES or t_s[-1] <= t_s[0]:
        return None
    return float(np.polyfit(t_s - t_s.mean(), px, 1)[0]) * 60


def _jitter(px: FloatArray) -> float | None:
    """By the median, which gaps and dithers hardly touch."""
    if len(px) < _ENOUGH_FRAMES:
        return None
    return float(np.median(np.abs(np.diff(px, 3)))) / 0.6745 / math.sqrt(20)
