"""Exposure times for which there are dark frames.

In: a folder of master darks, and a camera with its settings. Out: exposure times, which `Limits.darks_s` takes.
"""

from __future__ import annotations

from pathlib import Path

from acquisition.camera import CameraInfo, CameraSettings
from acquisition.errors import ConfigError
from acquisition.images import FrameFacts
from acquisition.images.processors.calibration.library import CalibrationLibrary

_MOST_TEMP_DIFF_C = 3.0


def dark_exposures_s(folder: Path, info: CameraInfo, settings: CameraSettings) -> tuple[float, ...]:
    """The exposure times of the darks that suit a camera, s, ascending.

    Parameters
    ----------
    folder : Path
        Read in whole.
    info, settings
        The camera, its binning, gain, offset and temperature count; what settings leave open does not matter.

    Raises
    ------
    ConfigError
        If there is no such folder, or no such dark in it.
    """
    camera = FrameFacts(
        instrument=info.name, camera_id=info.camera_id, x_binning=settings.binning, y_binning=settings.binning,
        gain=settings.gain, offset=settings.offset, ccd_temp_c=settings.target_temp_c,
    )  # fmt: skip
    found = CalibrationLibrary(folder).dark_exposures_s(camera, _MOST_TEMP_DIFF_C)
    if not found:
        asked = {"binning": settings.binning, "gain": settings.gain, "offset": settings.offset}
        asked["temperature"] = settings.target_temp_c
        said = ", ".join(f"{name} {value:g}" for name, value in asked.items() if value is not None)
        raise ConfigError(f"darks is {str(folder)!r}, where no dark suits {info.name} ({info.camera_id}) with {said}")
    return found
