"""What a guiding run amounts to, as plain values for JSON.

In: statistics, response, and how the run went. Out: a dict; lengths in the units that the names say, null where not
known.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from acquisition.geometry import MountAxis, MountResponse
from acquisition.guiding.axis_summary import least_jitter_px, unguidable_share
from acquisition.guiding.star_table import StarFigures
from acquisition.guiding.statistics import GuidingStatistics, Rms


def report(statistics: GuidingStatistics, response: MountResponse | None) -> dict[str, Any]:
    """The part of a report that does not depend on how the run was started."""
    return {
        "frames": statistics.frames,
        "lost_frames": statistics.lost_frames,
        "pulses": statistics.pulses,
        "limited_pulses": statistics.limited_pulses,
        "alarms": [{"kind": alarm.kind.value, "text": alarm.text} for alarm in statistics.alarms],
        "scale_arcsec_per_px": _rounded(statistics.scale_arcsec),
        **_rms("rms", "px", statistics.rms_px),
        **_rms("rms", "arcsec", statistics.rms_arcsec),
        **_rms("true_rms", "arcsec", statistics.true_rms_arcsec),
        **_rms("recent_rms", "px", statistics.recent_rms_px),
        **_rms("recent_rms", "arcsec", statistics.recent_rms_arcsec),
        **_axes(statistics),
        "guide_stars": [_star(star) for star in statistics.stars()],
        "calibration": None if response is None else _calibration(response),
    }


def _rms(name: str, unit: str, rms: Rms | None) -> dict[str, float | None]:
    return {
        f"{name}_ra_{unit}": None if rms is None else _rounded(rms.ra),
        f"{name}_dec_{unit}": None if rms is None else _rounded(rms.dec),
        f"{name}_total_{unit}": None if rms is None else _rounded(rms.total),
    }


def _axes(statistics: GuidingStatistics) -> dict[str, Any]:
    """Peak, oscillation, drift, and what seeing and noise make of the RMS."""
    axes, scale = statistics.axes(), statistics.scale_arcsec
    noise = statistics.centroid_noise_px
    if axes is None:
        return {"ra": None, "dec": None, "seeing": None, "polar_error_arcmin_at_least": None}
    jitter = least_jitter_px(*axes)
    seeing = None if jitter is None else math.sqrt(max(0.0, jitter**2 - (noise or 0.0) ** 2))
    ra, dec = (
        {
            "peak_px": _rounded(axis.peak_px),
            "peak_arcsec": _scaled(axis.peak_px, scale),
            "oscillation": _rounded(axis.turns),
            "drift_px_per_min": _rounded(axis.drift_px_per_min),
            "drift_arcsec_per_min": _scaled(axis.drift_px_per_min, scale),
            "pulses": axis.pulses,
            "limited_pulses": axis.limited,
            "unguidable_share": _rounded(unguidable_share(axis, jitter)),
        }
        for axis in axes
    )
    return {
        "ra": ra,
        "dec": dec,
        "seeing": {
            "motion_px": _rounded(seeing),
            "motion_arcsec": _scaled(seeing, scale),
            "centroid_noise_px": _rounded(noise),
            "centroid_noise_arcsec": _scaled(noise, scale),
        },
        "polar_error_arcmin_at_least": _rounded(axes[1].polar_error_arcmin(scale)),
    }


def _star(star: StarFigures) -> dict[str, Any]:
    values = {key: value for key, value in asdict(star).items() if value == value}  # NaN is not JSON
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in values.items()}


def _calibration(response: MountResponse) -> dict[str, Any]:
    return {
        "ra": _axis(response.ra),
        "dec": _axis(response.dec),
        "orthogonality_error_deg": _rounded(response.orthogonality_error_deg),
        "parity": response.parity,
        "dec_deg": _rounded(response.dec_deg),
        "pier_side": response.pier_side,
        "binning": response.binning,
    }


def _axis(axis: MountAxis) -> dict[str, float | None]:
    return {
        "angle_deg": _rounded(axis.angle_deg),
        "angle_err_deg": _rounded(axis.angle_err_deg),
        "rate_px_per_s": _rounded(axis.rate_px_per_s),
        "rate_err_px_per_s": _rounded(axis.rate_err_px_per_s),
    }


def _scaled(value: float | None, factor: float | None) -> float | None:
    return None if value is None or factor is None else _rounded(value * factor)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
