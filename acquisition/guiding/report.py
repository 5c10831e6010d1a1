"""What a guiding run amounts to, as plain values for JSON.

In: statistics, response, and how the run went. Out: a dict; lengths in the units that the names say, null where not
known.
"""

from __future__ import annotations

from typing import Any

from acquisition.geometry import MountAxis, MountResponse
from acquisition.guiding.statistics import GuidingStatistics, Rms


def report(statistics: GuidingStatistics, response: MountResponse | None) -> dict[str, Any]:
    """The part of a report that does not depend on how the run was started."""
    return {
        "frames": statistics.frames,
        "lost_frames": statistics.lost_frames,
        "pulses": statistics.pulses,
        "limited_pulses": statistics.limited_pulses,
        "scale_arcsec_per_px": _rounded(statistics.scale_arcsec),
        **_rms("rms", "px", statistics.rms_px),
        **_rms("rms", "arcsec", statistics.rms_arcsec),
        **_rms("true_rms", "arcsec", statistics.true_rms_arcsec),
        "calibration": None if response is None else _calibration(response),
    }


def _rms(name: str, unit: str, rms: Rms | None) -> dict[str, float | None]:
    return {
        f"{name}_ra_{unit}": None if rms is None else _rounded(rms.ra),
        f"{name}_dec_{unit}": None if rms is None else _rounded(rms.dec),
        f"{name}_total_{unit}": None if rms is None else _rounded(rms.total),
    }


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


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
