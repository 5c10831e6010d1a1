"""The guider's events as a PHD2 guide log.

In: events. Out: lines of the log, through `guidelog.GuideLogWriter`. Times are UTC.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from acquisition.camera import CameraInfo, CameraSettings
from acquisition.geometry import MountAxis, MountResponse
from acquisition.guidelog import CalibrationRow, DropRow, GuideLogWriter, GuideRow
from acquisition.guiding.algorithms import Law
from acquisition.guiding.events import (
    Alarm,
    AxisStep,
    Calibrated,
    CalibrationBegan,
    CalibrationStep,
    DitherBegan,
    Dropped,
    Event,
    GuidingBegan,
    GuidingEnded,
    LawChanged,
    Notice,
    Selected,
    Settling,
    State,
    StateChanged,
    Step,
)
from acquisition.guiding.settings import GuiderSettings
from acquisition.mount import Direction

_PHD2_AXES = {"RA": "X", "Dec": "Y"}
_LOST = 3
"""PHD2's error code for a star of low mass: what a frame without stars gets."""


class GuideLog:
    """Listens to a guider and writes its log.

    Parameters
    ----------
    writer : GuideLogWriter
    camera : CameraInfo
    camera_settings : CameraSettings
    mount_name : str
    settings : GuiderSettings
    """

    def __init__(
        self, writer: GuideLogWriter, camera: CameraInfo, camera_settings: CameraSettings, mount_name: str,
        settings: GuiderSettings,
    ) -> None:  # fmt: skip
        self._writer = writer
        self._mount_name = mount_name
        self._settings = settings
        self._began_s: float | None = None
        self._calibrating = False
        self._start = (0.0, 0.0)
        self._profile = [
            "Equipment Profile = Starlatch (times are UTC)",
            f"Dither = {'RA only' if settings.dither.ra_only else 'both axes'}, Dither scale = 1.000, "
            "Image noise reduction = none, Guide-frame time lapse = 0, Server disabled",
        ]
        self._camera = [
            f"Camera = {camera.name}, gain = {_known(camera_settings.gain)}, "
            f"full size = {camera.width_px} x {camera.height_px}, "
            f"pixel size = {camera.pixel_size_um:.1f} um" if camera.pixel_size_um else f"Camera = {camera.name}",
            f"Exposure = {camera_settings.exposure_s * 1000:.0f} ms",
        ]  # fmt: skip
        self._binning = camera_settings.binning

    def listen(self, event: Event) -> None:
        match event:
            case Selected(stars=stars):
                best = max((star for star in stars if star.used), key=lambda star: star.snr, default=None)
                self._start = (best.x, best.y) if best else (0.0, 0.0)
            case CalibrationBegan(utc=utc):
                self._calibration_begins(utc)
            case CalibrationStep():
                self._calibration_step(event)
            case Calibrated():
                self._calibrated(event)
            case StateChanged(state=state) if self._calibrating and state is not State.CALIBRATING:
                self._calibrating = False
            case GuidingBegan():
                self._guiding_begins(event)
            case Step():
                self._step(event)
            case Dropped():
                self._dropped(event)
            case LawChanged(axis=axis, law=law):
                self._writer.info(f"Guiding parameter change, {_PHD2_AXES[axis]} guide algorithm = {_law(law)}")
            case DitherBegan():
                lock = f"new lock pos = {event.lock_x:.3f}, {event.lock_y:.3f}"
                self._writer.info(f"DITHER by {event.ra_px:.3f}, {event.dec_px:.3f}, {lock}")
            case Settling(done=done):
                word = "started" if done is None else "complete" if done else "failed"
                self._writer.info(f"SETTLING STATE CHANGE, Settling {word}")
            case Alarm(kind=kind, text=text):
                self._writer.info(f"ALARM {kind.value}, {text}")
            case Notice(text=text):
                self._writer.info(text)
            case GuidingEnded(utc=utc, guided_s=guided_s):
                self._writer.guiding_ends(utc, guided_s)
            case _:
                pass

    def _calibration_begins(self, utc: datetime) -> None:
        self._calibrating = True
        self._writer.calibration_begins(
            utc,
            [*self._profile, *self._camera, f"Mount = {self._mount_name}", "RA and Dec are calibrated together"],
        )

    def _calibration_step(self, event: CalibrationStep) -> None:
        name = event.direction.name.capitalize() if event.direction else "West"
        x, y = self._start[0] + event.dx, self._start[1] + event.dy
        distance = math.hypot(event.dx, event.dy)
        self._writer.calibration_row(CalibrationRow(name, event.number, -event.dx, -event.dy, x, y, distance))

    def _calibrated(self, event: Calibrated) -> None:
        for direction, axis in (("West", event.response.ra), ("North", event.response.dec)):
            self._writer.axis_calibrated(direction, axis.angle_deg, axis.rate_px_per_s)
        self._writer.calibration_ends(self._mount_name)

    def _guiding_begins(self, event: GuidingBegan) -> None:
        self._began_s = event.t_s
        ra, dec, scale = event.response.ra, event.response.dec, event.scale_arcsec
        settings = self._settings
        enabled = "enabled" if settings.corrections else "disabled"
        self._writer.guiding_begins(
            event.utc,
            [
                *self._profile,
                f"Pixel scale = {_known(scale, '.2f')} arc-sec/px, Binning = {self._binning}, "
                f"Focal length = {_known(settings.focal_length_mm, '.0f')} mm",
                *self._camera,
                f"Mount = {self._mount_name}, connected, guiding {enabled}, "
                f"xAngle = {ra.angle_deg:.1f}, xRate = {ra.rate_px_per_s:.3f}, "
                f"yAngle = {dec.angle_deg:.1f}, yRate = {dec.rate_px_per_s:.3f}, parity = ?/?",
                _norm_rates(event.response, scale),
                f"X guide algorithm = {_law(settings.ra_law)}",
                f"Y guide algorithm = {_law(settings.dec_law)}",
                "Backlash comp = disabled, pulse = 0 ms",
                f"Max RA duration = {settings.ra_limits.max_pulse_s * 1000:.0f}, "
                f"Max DEC duration = {settings.dec_limits.max_pulse_s * 1000:.0f}, "
                f"DEC guide mode = {settings.dec_limits.mode.capitalize()}",
                "RA Guide Speed = Unknown, Dec Guide Speed = Unknown, "
                f"Cal Dec = {_known(event.response.dec_deg, '.1f')}, Last Cal Issue = None, Timestamp = Unknown",
                f"RA = Unknown hr, Dec = {_known(event.response.dec_deg, '.1f')} deg, Hour angle = Unknown hr, "
                f"Pier side = {event.response.pier_side}, Rotator pos = N/A, Alt = Unknown, Az = Unknown",
                f"Lock position = {event.lock_x:.3f}, {event.lock_y:.3f}, "
                f"Star position = {event.lock_x:.3f}, {event.lock_y:.3f}, HFD = {event.hfd:.2f} px",
            ],
        )

    def _step(self, step: Step) -> None:
        mass = max((star.flux for star in step.stars if star.used), default=0.0)
        snr = max((star.snr for star in step.stars if star.used), default=0.0)
        self._writer.row(
            GuideRow(
                step.frame, self._elapsed(step.t_s), step.dx, step.dy,
                step.ra.displacement_px, step.dec.displacement_px, step.ra.correction_px, step.dec.correction_px,
                *_pulse(step.ra), *_pulse(step.dec), mass, snr,
            )
        )  # fmt: skip

    def _dropped(self, event: Dropped) -> None:
        """The row has no place for pulses: those sent by prediction are told as PHD2 tells those of a user."""
        reason = f"Star lost - {event.reason}"
        self._writer.row(DropRow(event.frame, self._elapsed(event.t_s), 0.0, 0.0, _LOST, reason))
        for pulse_s, positive in ((event.ra_pulse_s, Direction.WEST), (event.dec_pulse_s, Direction.SOUTH)):
            if pulse_s:
                way = positive if pulse_s > 0 else positive.opposite
                self._writer.info(f"Manual guide (Mount) {way.name.capitalize()} {abs(pulse_s) * 1000:.0f} ms")

    def _elapsed(self, t_s: float) -> float:
        return t_s - self._began_s if self._began_s is not None else 0.0


def _pulse(axis: AxisStep) -> tuple[int, str]:
    return (0, "") if axis.direction is None else (round(axis.pulse_s * 1000), axis.direction.value)


def _known(value: float | None, spec: str = "g") -> str:
    return "Unknown" if value is None else format(value, spec)


def _norm_rates(response: MountResponse, scale: float | None) -> str:
    def rate(axis: MountAxis, factor: float) -> str:
        return "Unknown" if scale is None else f'{axis.rate_px_per_s * scale * factor:.1f}"/s'

    at_equator = 1.0 if response.dec_deg is None else 1 / max(0.02, math.cos(math.radians(response.dec_deg)))
    return (
        f"Norm rates RA = {rate(response.ra, at_equator)} @ dec 0, Dec = {rate(response.dec, 1)}; "
        f"ortho.err. = {response.orthogonality_error_deg:.1f} deg"
    )


_PHD2_NAMES = {
    "hysteresis": "Hysteresis", "lowpass": "Lowpass", "lowpass2": "Lowpass2", "resist-switch": "Resist Switch",
    "z-filter": "Zfilter", "predictive-pec": "Predictive PEC", "identity": "None", "min_move": "Minimum move",
}  # fmt: skip


def _law(law: Law[Any]) -> str:
    """A law and its parameters, under PHD2's names where it has them."""
    parameters = []
    for key, value in vars(law).items():
        name = _PHD2_NAMES.get(key, key.replace("_", " ").capitalize())
        parameters.append(f"{name} = {value if isinstance(value, bool) else format(value, '.3f')}")
    return ", ".join([_PHD2_NAMES.get(law.name, law.name), *parameters])
