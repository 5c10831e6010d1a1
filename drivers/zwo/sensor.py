"""One ZWO camera as a blocking `Sensor`.

In: settings, and short calls from the device's thread. Out: pixels in the caller's buffer, and facts. What ZWO's
library demands and hides (see docs/zwo.md) is dealt with here.
"""

from __future__ import annotations

import logging
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from acquisition.camera import CameraInfo, CameraSettings, CameraStatus, ExposureState, Roi
from acquisition.errors import (
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermissionDenied,
    ExposureFailed,
    Unsupported,
)
from acquisition.images import FrameFacts
from acquisition.mount import Direction
from acquisition.usb import usb_devices, usbfs_memory_mb

from .cooler import WARM_C, Ramp
from .frame_check import FrameCheck, Verdict
from .roi import allowed_roi
from .sdk import RAW8, RAW16, TEMPERATURE_UNIT_C, TIMEOUT, Attached, Control, ControlRange, Sdk

log = logging.getLogger(__name__)

VENDOR = "03c3"
GONE_FOR_S = 1.5
"""How long a camera may vanish during an exposure: an ASI120MM Mini resets its USB connection."""
COMES_BACK_S = 5.0
"""How long to look for a camera that is being opened anew."""
TEMPERATURE_EVERY_S = 5.0
PINS = {Direction.NORTH: 0, Direction.SOUTH: 1, Direction.EAST: 2, Direction.WEST: 3}
STATES = {0: ExposureState.IDLE, 1: ExposureState.WORKING, 2: ExposureState.READY, 3: ExposureState.FAILED}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which camera, and how: what a URL says.

    Attributes
    ----------
    model : str
        With or without ``ZWO``; empty for any.
    serial, flash_id : str
        Empty for any.
    index : int, optional
        In the library's list.
    controls : mapping
        Values to put in force with the settings.
    ramp_c_per_min : float
        How fast the cooler may go.
    speed : float
        How many times faster than real time an emulated camera lives.
    """

    model: str = ""
    serial: str = ""
    flash_id: str = ""
    index: int | None = None
    controls: Mapping[Control, int] = field(default_factory=dict)
    ramp_c_per_min: float = 5.0
    speed: float = 1.0

    def __str__(self) -> str:
        said = [("serial", self.serial), ("id", self.flash_id), ("index", self.index)]
        rest = ", ".join(f"{name} {value}" for name, value in said if value not in ("", None))
        return " ".join(filter(None, (self.model or "ZWO camera", f"({rest})" if rest else "")))


class ZwoSensor:
    """A ZWO camera. Opening it changes nothing but that dark subtraction is off and the guide port rests.

    Parameters
    ----------
    load : callable
        Gives the `Sdk`; called when the camera is opened first, as that loads the library.
    wanted : Wanted
    mounted_on : FrameFacts, optional
        What is known of the telescope; the camera does not know it.
    """

    def __init__(self, load: Callable[[], Sdk], wanted: Wanted, mounted_on: FrameFacts | None = None) -> None:
        self._mounted_on = mounted_on or FrameFacts()
        self._load = load
        self._wanted = wanted
        self._name = str(wanted)
        self._sdk: Sdk | None = None
        self._id: int | None = None
        self._serial = wanted.serial
        self._attached: Attached | None = None
        self._ranges: dict[Control, ControlRange] = {}
        self._asked: CameraSettings | None = None
        self._settings = CameraSettings()
        self._constant = FrameFacts()  # since the last `configure`
        self._video = False
        self._check = FrameCheck()
        self._began_s = 0.0
        self._missing_since_s: float | None = None
        self._dropped_before = 0  # rejected video frames, and those lost by the library in videos that have ended
        self._ramp: Ramp | None = None
        self._cooler_goes_off = False
        self._temperature: tuple[float, float | None, float | None] | None = None  # when, °C, cooler's %
        self._bandwidth_lowered = False
        self.counts: Counter[str] = Counter()
        """Frames rejected, by reason."""

    # --- opening and closing ---

    def open(self) -> CameraInfo:
        if self._sdk is None:
            self._sdk = self._load()
        sdk = self._sdk
        attached = self._find(sdk)
        camera = self._id = attached.id
        sdk.open_ids.add(camera)
        try:
            sdk.call(self._name, "InitCamera", camera)
            sdk.call(self._name, "DisableDarkSubtract", camera)
            self._ranges = sdk.controls(self._name, camera)
            self._attached = sdk.properties(self._name, camera)
            self._guide_port_rests()
            serial, flash_id = sdk.serial_number(self._name, camera), sdk.flash_id(self._name, camera)
        except BaseException:
            self.close()
            raise
        self._name = attached.name
        self._serial = serial or self._serial
        self._video = False
        self._missing_since_s = self._temperature = self._ramp = None
        self._check = FrameCheck()
        return self._info(attached, serial or flash_id or f"{attached.name} {camera}")

    def close(self) -> None:
        """Stop everything, let the guide port rest; the cooler is left as it is."""
        sdk, camera = self._sdk, self._id
        if sdk is None or camera is None:
            return
        try:
            with suppress(DeviceError):
                self._guide_port_rests()
            with suppress(DeviceError):
                self.stop()
            sdk.code("CloseCamera", camera)  # which an unplugged camera refuses
        finally:
            sdk.open_ids.discard(camera)
            self._id = self._attached = None

    def _find(self, sdk: Sdk) -> Attached:
        """The camera that is wanted, opened."""
        there = sdk.attached()
        wanted, model = self._wanted, self._wanted.model.removeprefix("ZWO ").lower()
        fitting = [
            camera
            for index, camera in enumerate(there)
            if wanted.index in (None, index) and model in ("", camera.name.removeprefix("ZWO ").lower())
        ]
        names = ", ".join(f"{camera.name} (index {index})" for index, camera in enumerate(there)) or "none"
        if not fitting:
            self._complain_of_permissions()
            raise DeviceNotFound(f"no {wanted} is attached; there are: {names}")
        if len(fitting) > 1 and not self._serial and not wanted.flash_id:
            raise DeviceNotFound(f"more than one {wanted} is attached: {names}; name one by serial=, id= or index=")
        for camera in fitting:
            if camera.id in sdk.open_ids:
                if len(fitting) == 1:
                    raise DeviceBusy(f"{camera.name}: is open already in this process, under another URL")
                continue
            self._open(sdk, camera)
            serial, flash_id = sdk.serial_number(camera.name, camera.id), sdk.flash_id(camera.name, camera.id)
            if self._serial.lower().lstrip("0") in ("", serial.lstrip("0")) and wanted.flash_id in ("", flash_id):
                return camera
            sdk.code("CloseCamera", camera.id)
        raise DeviceNotFound(f"no {wanted} is attached, or another program has it; there are: {names}")

    def _open(self, sdk: Sdk, camera: Attached) -> None:
        try:
            sdk.call(camera.name, "OpenCamera", camera.id)
        except DeviceGone as error:
            self._complain_of_permissions()
            raise DeviceGone(f"{error}; unplugged, or another program has it") from None

    def _complain_of_permissions(self) -> None:
        if self._wanted.speed != 1.0:
            return  # an emulated camera
        for device in usb_devices(VENDOR):
            if not device.may_be_opened:
                raise DevicePermissionDenied(
                    f"{device.name or 'ZWO camera'}: {device.node} may not be opened by this user; install the udev "
                    "rules: starlatch doctor --install-udev"
                )

    # --- settings ---

    def configure(self, settings: CameraSettings) -> CameraSettings:
        sdk, camera, attached = self._there()
        self.stop()
        self._asked = settings
        self._set_roi(settings)
        self._set(Control.EXPOSURE, round(settings.exposure_s * 1e6))
        if settings.gain is not None:
            self._set(Control.GAIN, round(settings.gain))
        if settings.offset is not None:
            self._set(Control.OFFSET, round(settings.offset))
        for control, value in self._url_controls(attached).items():
            self._set(control, value)
        self._set_cooler(settings)
        x, y, width, height, binning, kind = sdk.roi(self._name, camera)
        self._settings = CameraSettings(
            exposure_s=(self._get(Control.EXPOSURE) or 0) / 1e6,
            gain=_number(self._get(Control.GAIN)),
            offset=_number(self._get(Control.OFFSET)),
            binning=binning,
            roi=Roi(x, y, width, height),
            bits=16 if kind == RAW16 else 8,
            target_temp_c=self._target_temp_c(settings),
            cooler_on=self._cooler_on(settings),
        )
        self._constant = self._constant_facts()
        self._check = FrameCheck()
        return self._settings

    def _set_roi(self, settings: CameraSettings) -> None:
        sdk, camera, attached = self._there()
        roi = allowed_roi(settings.roi, attached.width_px, attached.height_px, settings.binning, attached.name)
        kind = RAW16 if settings.bits == 16 else RAW8
        sdk.call(self._name, "SetROIFormat", camera, roi.width, roi.height, settings.binning, kind)
        sdk.call(self._name, "SetStartPos", camera, roi.x, roi.y)  # after the format, which centres

    def _url_controls(self, attached: Attached) -> dict[Control, int]:
        """What the URL sets, and the bandwidth for slow connections and machines."""
        values = dict(self._wanted.controls)
        slow = not attached.usb3 or platform.machine().startswith(("arm", "aarch64"))
        low_bandwidth = self._bandwidth_lowered or (slow and Control.BANDWIDTH not in values)
        if low_bandwidth and Control.BANDWIDTH in self._ranges:
            values[Control.BANDWIDTH] = self._ranges[Control.BANDWIDTH].low
        for control in values:
            if control not in self._ranges:
                there = ", ".join(sorted(known.name.lower() for known in self._ranges))
                raise Unsupported(f"{self._name} has no control {control.name.lower()}; it has {there}")
        return values

    def _set_cooler(self, settings: CameraSettings) -> None:
        """Begin a ramp to what is asked for."""
        if Control.TARGET_TEMP not in self._ranges:
            return
        is_on = bool(self._get(Control.COOLER_ON))
        if settings.cooler_on is False and is_on:
            self._begin_ramp(WARM_C)
            self._cooler_goes_off = True
        elif settings.cooler_on or (is_on and settings.target_temp_c is not None):
            goal_c = settings.target_temp_c
            if goal_c is None:
                goal_c = float(self._get(Control.TARGET_TEMP) or 0)
            limits = self._ranges[Control.TARGET_TEMP]
            self._begin_ramp(min(max(round(goal_c), limits.low), limits.high))
            self._cooler_goes_off = False
            self._set(Control.COOLER_ON, 1)
        elif settings.target_temp_c is not None:
            self._set(Control.TARGET_TEMP, round(settings.target_temp_c))

    def _begin_ramp(self, goal_c: float) -> None:
        if self._ramp is None or self._ramp.goal_c != goal_c:
            now_c = (self._get(Control.TEMPERATURE) or 0) * TEMPERATURE_UNIT_C
            self._ramp = Ramp(now_c, goal_c, time.monotonic(), self._wanted.ramp_c_per_min * self._wanted.speed)
        self._follow_ramp()

    def _follow_ramp(self) -> None:
        """Move the set point to where the ramp is."""
        if self._ramp is None:
            return
        now_s = time.monotonic()
        setpoint = self._ramp.setpoint_c(now_s)
        if setpoint != self._get(Control.TARGET_TEMP):
            self._set(Control.TARGET_TEMP, setpoint)
        if self._ramp.ended(now_s):
            if self._cooler_goes_off:
                self._set(Control.COOLER_ON, 0)
                self._cooler_goes_off = False
            self._ramp = None

    def _target_temp_c(self, settings: CameraSettings) -> float | None:
        if Control.TARGET_TEMP not in self._ranges:
            return None
        if self._ramp is not None and not self._cooler_goes_off:
            return float(self._ramp.goal_c)
        return _number(self._get(Control.TARGET_TEMP))

    def _cooler_on(self, settings: CameraSettings) -> bool | None:
        if Control.COOLER_ON not in self._ranges:
            return None
        return bool(self._get(Control.COOLER_ON)) and not self._cooler_goes_off

    # --- snaps ---

    def start(self) -> None:
        sdk, camera, _ = self._there()
        self._read_temperature()
        self._began_s = time.monotonic()
        self._missing_since_s = None
        try:
            sdk.call(self._name, "StartExposure", camera, 0)
        except DeviceGone:
            raise
        except DeviceError as error:
            raise self._rejected("failed", f"the exposure did not begin: {error}") from error

    def ask(self) -> ExposureState:
        sdk, camera, _ = self._there()
        try:
            state = STATES.get(sdk.exposure_status(self._name, camera), ExposureState.FAILED)
        except DeviceGone:
            now_s = time.monotonic()
            self._missing_since_s = now_s if self._missing_since_s is None else self._missing_since_s
            if now_s - self._missing_since_s < GONE_FOR_S:
                return ExposureState.WORKING
            raise
        self._missing_since_s = None
        if state is ExposureState.READY and self._too_soon(time.monotonic()):
            raise self._rejected("early", "a frame came before its exposure can have ended")
        if state in (ExposureState.FAILED, ExposureState.IDLE):
            what = "failed" if state is ExposureState.FAILED else "was forgotten"
            raise self._rejected("failed", f"the exposure {what}{self._usbfs_hint()}")
        return state

    def read(self, buffer: NDArray[Any]) -> None:
        sdk, camera, _ = self._there()
        self._check.prepare(buffer)
        try:
            sdk.call(self._name, "GetDataAfterExp", camera, *sdk.pointer(buffer))
        except DeviceGone:
            raise
        except DeviceError as error:
            raise self._rejected("failed", f"the frame could not be read: {error}{self._usbfs_hint()}") from error
        verdict = self._check.judge(buffer)
        if verdict is not Verdict.GOOD:
            raise self._rejected(verdict.name.lower(), f"the frame was {verdict.value}")

    def stop(self) -> None:
        sdk, camera, _ = self._there()
        if self._video:
            self._video = False
            self._dropped_before += sdk.dropped(self._name, camera)
            sdk.call(self._name, "StopVideoCapture", camera)
        else:
            sdk.call(self._name, "StopExposure", camera)

    def _too_soon(self, now_s: float) -> bool:
        return now_s - self._began_s < 0.95 * self._settings.exposure_s / self._wanted.speed - 0.005

    def _rejected(self, reason: str, message: str) -> ExposureFailed:
        self.counts[reason] += 1
        return ExposureFailed(f"{self._name}: {message}")

    def _usbfs_hint(self) -> str:
        memory_mb = usbfs_memory_mb()
        roi = self._settings.roi
        if not memory_mb or memory_mb >= 200 or roi is None or self._wanted.speed != 1.0:
            return ""
        frame_mb = roi.width * roi.height * self._settings.bits / 8 / 2**20
        return (
            f"; USB transfers may take {memory_mb} MB (usbfs_memory_mb) and a frame has {frame_mb:.1f} MB: raise it, "
            "starlatch doctor says how"
        )

    # --- video ---

    def start_video(self) -> None:
        sdk, camera, _ = self._there()
        self._read_temperature()
        sdk.call(self._name, "StartVideoCapture", camera)
        self._began_s = time.monotonic()
        self._video = True

    def wait_video(self, buffer: NDArray[Any], timeout_s: float) -> bool:
        sdk, camera, _ = self._there()
        self._read_temperature()
        self._check.prepare(buffer)
        code = sdk.code("GetVideoData", camera, *sdk.pointer(buffer), max(int(timeout_s * 1000), 1))
        if code == TIMEOUT:
            return False
        sdk.check(self._name, "GetVideoData", code)
        verdict = self._check.judge(buffer)
        reason = "early" if self._too_soon(time.monotonic()) else verdict.name.lower()
        if reason == "good":
            return True
        self.counts[reason] += 1
        self._dropped_before += 1
        log.info("%s: a video frame was rejected: %s", self._name, reason)
        return False

    # --- remedies, mildest first ---

    def repeat(self) -> None:
        """Do nothing but try again."""

    def stop_and_restart(self) -> None:
        """Stop whatever the library believes is running."""
        sdk, camera, _ = self._there()
        self._video = False
        sdk.code("StopVideoCapture", camera)
        sdk.code("StopExposure", camera)

    def reopen(self) -> None:
        """Close and open the camera, and put every setting in force again."""
        asked, dropped = self._asked, self._dropped_before
        self.close()
        until_s = time.monotonic() + COMES_BACK_S
        while True:
            try:
                self.open()
                break
            except (DeviceNotFound, DeviceGone):
                if time.monotonic() > until_s:
                    raise DeviceGone(f"{self._name}: does not come back") from None
                time.sleep(0.1)
        self._dropped_before = dropped
        if asked is not None:
            self.configure(asked)

    def lower_bandwidth(self) -> None:
        """Use as little of the USB bus as the camera can, and open it anew."""
        self._bandwidth_lowered = True
        self.reopen()

    # --- guide port ---

    def guide_on(self, direction: Direction) -> None:
        """Close a pin of the guide port."""
        sdk, camera, _ = self._there()
        sdk.call(self._name, "PulseGuideOn", camera, PINS[direction])

    def guide_off(self, direction: Direction) -> None:
        """Open a pin of the guide port."""
        sdk, camera, _ = self._there()
        sdk.call(self._name, "PulseGuideOff", camera, PINS[direction])

    def _guide_port_rests(self) -> None:
        if self._attached is not None and self._attached.has_guide_port:
            for direction in PINS:
                self.guide_off(direction)

    # --- what it knows ---

    def status(self) -> CameraStatus:
        self._there()
        self._follow_ramp()
        self._read_temperature(max_age_s=0.0)
        _, temp_c, power = self._temperature or (0.0, None, None)
        return CameraStatus(temp_c, power, self._n_dropped())

    def facts(self) -> FrameFacts:
        _, temp_c, power = self._temperature or (0.0, None, None)
        return replace(self._constant, ccd_temp_c=temp_c, cooler_power_percent=power, n_dropped=self._n_dropped())

    def _n_dropped(self) -> int:
        """Frames of videos that the library lost or that we rejected; failed snaps are counted by who repeats them."""
        now = 0
        if self._video and self._sdk is not None and self._id is not None:
            now = self._sdk.dropped(self._name, self._id)
        return self._dropped_before + now

    def _constant_facts(self) -> FrameFacts:
        """What is the same for all frames of these settings; asks for e-/ADU, which follows the gain."""
        sdk, camera, _ = self._there()
        attached = self._attached = sdk.properties(self._name, camera)
        settings = self._settings
        shift = settings.bits - attached.bit_depth  # stored values are the ADC's, shifted so that 16 bits are filled
        egain = attached.e_per_adc / 2.0**shift
        software_mean = settings.bits == 16 and settings.binning > 1 and not self._get(Control.HARDWARE_BIN)
        if software_mean:
            egain *= settings.binning**2  # the library averages in 16 bits, and adds in 8
        colour = attached.bayer_pattern is not None and not (settings.binning > 1 and self._get(Control.MONO_BIN))
        roi = settings.roi
        bandwidth, interval_us = self._get(Control.BANDWIDTH), self._get(Control.ROLLING_INTERVAL)
        speed = " high speed" if self._get(Control.HIGH_SPEED) else ""
        return replace(
            self._mounted_on,
            egain_e_per_adu=egain if attached.e_per_adc > 0 else None,
            data_max_adu=float((2**attached.bit_depth - 1) << shift) if shift >= 0 else 255.0,
            row_order="TOP-DOWN",
            readout_mode=f"RAW{settings.bits}{speed}",
            line_time_s=interval_us / 1e6 if interval_us else None,
            usb_limit=_number(bandwidth),
            bayer_pattern=attached.bayer_pattern if colour else None,
            x_bayer_offset=roi.x % 2 if colour and roi is not None else None,
            y_bayer_offset=roi.y % 2 if colour and roi is not None else None,
        )

    def _read_temperature(self, max_age_s: float = TEMPERATURE_EVERY_S) -> None:
        """Ask for the temperature, but not often, and never between an exposure and its readout."""
        now_s = time.monotonic()
        if self._temperature is not None and now_s - self._temperature[0] < max_age_s:
            return
        self._follow_ramp()
        temperature = self._get(Control.TEMPERATURE)
        self._temperature = (
            now_s,
            None if temperature is None else round(temperature * TEMPERATURE_UNIT_C, 1),
            _number(self._get(Control.COOLER_POWER)),
        )

    def _info(self, attached: Attached, camera_id: str) -> CameraInfo:
        exposure = self._ranges[Control.EXPOSURE]
        bits = tuple(bits for bits, kind in ((8, RAW8), (16, RAW16)) if kind in attached.formats)
        return CameraInfo(
            name=attached.name,
            camera_id=camera_id,
            width_px=attached.width_px,
            height_px=attached.height_px,
            pixel_size_um=attached.pixel_size_um,
            bit_depth=attached.bit_depth,
            bayer_pattern=attached.bayer_pattern,
            binnings=attached.binnings,
            bits=bits,
            exposure_range_s=(exposure.low / 1e6, exposure.high / 1e6),
            gain_range=self._range(Control.GAIN),
            offset_range=self._range(Control.OFFSET),
            has_cooler=attached.has_cooler,
            has_guide_port=attached.has_guide_port,
        )

    def _range(self, control: Control) -> tuple[float, float] | None:
        limits = self._ranges.get(control)
        return (float(limits.low), float(limits.high)) if limits is not None and limits.writable else None

    def _there(self) -> tuple[Sdk, int, Attached]:
        if self._sdk is None or self._id is None or self._attached is None:
            raise DeviceGone(f"{self._name}: is not open")
        return self._sdk, self._id, self._attached

    def _get(self, control: Control) -> int | None:
        sdk, camera, _ = self._there()
        return sdk.value(self._name, camera, control) if control in self._ranges else None

    def _set(self, control: Control, value: int) -> None:
        """Set a control within its range: not all of them can be written, and the library clamps in silence."""
        limits = self._ranges.get(control)
        if limits is not None and limits.writable:
            sdk, camera, _ = self._there()
            sdk.set_value(self._name, camera, control, min(max(value, limits.low), limits.high))


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)
