"""A calibration kept for the next night.

In: a `StoredCalibration`. Out: a JSON file that appears whole or not at all, and back. A calibration belongs to one
camera on one mount; what else may differ (binning, declination, side of the pier, rotator, field) it is converted for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from acquisition.camera import CameraInfo
from acquisition.errors import ConfigError
from acquisition.geometry import MountAxis, MountResponse
from acquisition.mount import MountInfo, PierSide
from acquisition.whole_file import write_whole

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class StoredCalibration:
    """What was measured, with what, and when."""

    camera: str
    camera_id: str
    mount: str
    made_utc: datetime
    response: MountResponse
    backlash_s: float | None

    def misfit(self, camera: CameraInfo, mount: MountInfo) -> str | None:
        """Why it is not for these devices; None if it is."""
        if (camera.name, camera.camera_id) != (self.camera, self.camera_id):
            return f"it was made with camera {self.camera} ({self.camera_id}), not {camera.name} ({camera.camera_id})"
        if mount.name != self.mount:
            return f"it was made with mount {self.mount}, not {mount.name}"
        return None


def save_calibration(stored: StoredCalibration, path: Path) -> None:
    """Write a calibration, in place of an earlier one."""
    values = {"format": _FORMAT, **asdict(stored), "made_utc": stored.made_utc.isoformat()}
    write_whole(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


def load_calibration(path: Path) -> StoredCalibration:
    """Read a calibration.

    Raises
    ------
    FileNotFoundError
    ConfigError
        If it is not a calibration, or one of its values is impossible; names file, key and what is wrong.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("format") != _FORMAT:
            raise ValueError(f"it is not a calibration of format {_FORMAT}")
        response = values["response"]
        return StoredCalibration(
            str(values["camera"]),
            str(values["camera_id"]),
            str(values["mount"]),
            datetime.fromisoformat(values["made_utc"]),
            MountResponse(
                _axis(response["ra"]),
                _axis(response["dec"]),
                _number(response, "dec_deg", lambda value: abs(value) <= 90),
                PierSide(response["pier_side"]).value,
                int(response["binning"]),
                *(_number({key: response.get(key)}, key, math.isfinite) for key in ("rotator_deg", "field_angle_deg")),
            ),
            _number(values, "backlash_s", lambda value: value >= 0),
        )
    except FileNotFoundError:
        raise
    except KeyError as error:
        raise ConfigError(f"{path}: no key {error} in the calibration") from None
    except (ValueError, TypeError, OSError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ConfigError(f"{path}: not a usable calibration: {error}") from None


def _axis(values: dict[str, Any]) -> MountAxis:
    numbers = {key: float(values[key]) for key in MountAxis.__dataclass_fields__}
    for key, value in numbers.items():
        if not math.isfinite(value):
            raise ValueError(f"{key} is {value}; allowed: a finite number")
    if numbers["rate_px_per_s"] <= 0:
        raise ValueError(f"rate_px_per_s is {numbers['rate_px_per_s']}; allowed: above 0")
    return MountAxis(**numbers)


def _number(values: dict[str, Any], key: str, allowed: Callable[[float], bool]) -> float | None:
    value = values[key]
    if value is None:
        return None
    if not allowed(float(value)):
        raise ValueError(f"{key} is {value}")
    return float(value)
