"""A run's figures in a dozen lines, for the terminal and the plot.

In: `GuidingStatistics`. Out: lines of text.
"""

from __future__ import annotations

from collections.abc import Sequence

from acquisition.guiding.axis_summary import AxisSummary, least_jitter_px, unguidable_share
from acquisition.guiding.statistics import RECENT_S, GuidingStatistics, Rms

_POLAR_WORTH_SAYING_ARCMIN = 2.0


def summary_lines(statistics: GuidingStatistics) -> list[str]:
    """The figures that a user wants at the end, a line each."""
    lines = [f"frames {statistics.frames}, lost {statistics.lost_frames}, pulses {statistics.pulses}"]
    rms = [("RMS px", statistics.rms_px), ('RMS "', statistics.rms_arcsec)]
    if statistics.guided_s > RECENT_S * 1.2:
        recent, unit = (
            (statistics.recent_rms_arcsec, '"') if statistics.scale_arcsec else (statistics.recent_rms_px, "px")
        )
        rms.append((f"last {RECENT_S / 60:.0f} min {unit}", recent))
    rms.append(('true "', statistics.true_rms_arcsec))
    lines += rms_lines(rms)
    if (axes := statistics.axes()) is not None:
        lines += axis_lines(*axes, statistics.scale_arcsec, statistics.guided_s)
    if statistics.limited_pulses:
        lines.append(f"{statistics.limited_pulses} pulses were cut at the longest allowed")
    return lines


def axis_lines(ra: AxisSummary, dec: AxisSummary, scale_arcsec: float | None, duration_s: float) -> list[str]:
    """Peak, drift, oscillation, the share of seeing and noise in the variance, and what Dec's drift tells."""
    axes = ra, dec
    scale, unit = (scale_arcsec, '"') if scale_arcsec else (1.0, "px")
    lines = [_row(f"peak {unit}", [f"{axis.peak_px * scale:.2f}" for axis in axes])]
    drifts = [axis.drift_px_per_min for axis in axes]
    if None not in drifts:
        lines.append(_row(f"drift {unit}/min", [f"{drift * scale:+.2f}" for drift in drifts if drift is not None]))
    if min(axis.pulses for axis in axes) > 1:
        lines.append(_row("pulses turn", [f"{100 * axis.turns:.0f} %" for axis in axes]))
    jitter = least_jitter_px(*axes)
    shares = [unguidable_share(axis, jitter) for axis in axes]
    if None not in shares:
        lines.append(_row("seeing, noise", [f"{100 * share:.0f} %" for share in shares if share is not None]))
    error = dec.polar_error_arcmin(scale_arcsec)
    if error is not None and error > _POLAR_WORTH_SAYING_ARCMIN and duration_s > RECENT_S:
        lines.append(f"polar axis off by {error:.0f}' or more")
    return lines


def rms_lines(rms: Sequence[tuple[str, Rms | None]]) -> list[str]:
    """A little table; what is not known has no line."""
    rows = [_row(name, [f"{value:.2f}" for value in (r.ra, r.dec, r.total)]) for name, r in rms if r is not None]
    return [_row("", ["RA", "Dec", "total"]), *rows] if rows else []


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:14}" + "".join(f"{cell:>7}" for cell in cells)
