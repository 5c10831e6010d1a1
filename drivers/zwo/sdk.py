"""ZWO's functions with our errors, and their numbers with names.

In: the module that `library.load` gives. Out: calls that raise a `DeviceError` named by what the caller can do.
"""

from __future__ import annotations

import ctypes
import enum
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from acquisition.errors import DeviceBusy, DeviceError, DeviceGone, DeviceTimeout, Unsupported

from .library import load

RAW8, RAW16 = 0, 2
BAYER_PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")  # in the SDK's order
TEMPERATURE_UNIT_C = 0.1


class Control(enum.IntEnum):
    """The SDK's control types."""

    GAIN = 0
    EXPOSURE = 1  # µs
    GAMMA = 2
    WB_R = 3
    WB_B = 4
    OFFSET = 5
    BANDWIDTH = 6  # % of the bus
    OVERCLOCK = 7
    TEMPERATURE = 8  # 0.1 °C
    FLIP = 9
    AUTO_MAX_GAIN = 10
    AUTO_MAX_EXP = 11  # ms
    AUTO_TARGET_BRIGHTNESS = 12
    HARDWARE_BIN = 13
    HIGH_SPEED = 14
    COOLER_POWER = 15  # %
    TARGET_TEMP = 16  # °C
    COOLER_ON = 17
    MONO_BIN = 18
    FAN_ON = 19
    PATTERN_ADJUST = 20
    ANTI_DEW_HEATER = 21
    FAN_ADJUST = 22
    PWRLED = 23
    USBHUB_RESET = 24
    GPS_SUPPORT = 25
    GPS_START_LINE = 26
    GPS_END_LINE = 27
    ROLLING_INTERVAL = 28  # µs from one row to the next


NOT_FOR_URLS = {Control.EXPOSURE, Control.GAIN, Control.OFFSET, Control.TARGET_TEMP, Control.COOLER_ON} | {
    Control.TEMPERATURE, Control.COOLER_POWER, Control.ROLLING_INTERVAL, Control.USBHUB_RESET,
    Control.GPS_SUPPORT, Control.GPS_START_LINE, Control.GPS_END_LINE,  # writing the latter breaks exposures
}  # fmt: skip
URL_CONTROLS = {control.name.lower(): control for control in Control if control not in NOT_FOR_URLS}
"""The controls that a URL may set, by the name of the option."""


@dataclass(frozen=True, slots=True)
class ControlRange:
    """What a control can be."""

    low: int
    high: int
    default: int
    writable: bool
    can_be_auto: bool


@dataclass(frozen=True, slots=True)
class Attached:
    """A camera that the library sees, from its properties."""

    id: int
    name: str
    width_px: int
    height_px: int
    pixel_size_um: float
    bit_depth: int
    bayer_pattern: str | None
    binnings: tuple[int, ...]
    formats: tuple[int, ...]
    has_guide_port: bool
    has_cooler: bool
    usb3: bool  # the camera and the port that it is plugged into
    e_per_adc: float  # at the gain that is set


_ERRORS: dict[int, tuple[type[DeviceError], str]] = {
    1: (DeviceGone, "there is no such camera"),
    2: (DeviceGone, "the camera is not there"),
    3: (Unsupported, "the camera has no such control"),
    4: (DeviceGone, "the camera is not open"),
    5: (DeviceGone, "the camera was removed"),
    6: (DeviceError, "no such file"),
    7: (DeviceError, "wrong file format"),
    8: (DeviceError, "wrong frame size"),
    9: (Unsupported, "no such image type"),
    10: (DeviceError, "the start position leaves the detector"),
    11: (DeviceTimeout, "nothing came in time"),
    12: (DeviceError, "capture must be stopped first"),
    13: (DeviceError, "the buffer is too small"),
    14: (DeviceBusy, "a video runs"),
    15: (DeviceBusy, "an exposure runs"),
    16: (DeviceError, "general error, such as a value out of range"),
    17: (Unsupported, "wrong mode"),
    18: (Unsupported, "no GPS"),
}
TIMEOUT = 11


class Sdk:
    """The library's calls; the names are its own, without ``ASI``.

    Parameters
    ----------
    module : module
        From `library.load`.
    """

    def __init__(self, module: Any) -> None:
        self._module = module
        self._lib = module.lib
        self.open_ids: set[int] = set()  # by this process

    def call(self, who: str, function: str, *arguments: Any) -> None:
        """Make a call.

        Raises
        ------
        DeviceError
            As the code that it returns means.
        """
        self.check(who, function, self.code(function, *arguments))

    def check(self, who: str, function: str, code: int) -> None:
        """Raise what a code means; nothing if it is 0."""
        if code != 0:
            kind, meaning = _ERRORS.get(code, (DeviceError, "unknown error"))
            raise kind(f"{who}: {meaning} (ASI{function}: error {code})")

    def code(self, function: str, *arguments: Any) -> int:
        """Make a call and return its code."""
        return int(getattr(self._lib, f"ASI{function}")(*arguments))

    def attached(self) -> list[Attached]:
        """The cameras that the library sees, by index; they need not be open."""
        found = []
        for index in range(self._lib.ASIGetNumOfConnectedCameras()):
            info = self._module.CameraInfo()
            if self.code("GetCameraProperty", ctypes.byref(info), index) == 0:
                found.append(_attached(info))
        return found

    def properties(self, who: str, camera: int) -> Attached:
        """Of an open camera."""
        info = self._module.CameraInfo()
        self.call(who, "GetCameraPropertyByID", camera, ctypes.byref(info))
        return _attached(info)

    def controls(self, who: str, camera: int) -> dict[Control, ControlRange]:
        """The controls of an open camera and their ranges; those that we know."""
        number = ctypes.c_int()
        self.call(who, "GetNumOfControls", camera, ctypes.byref(number))
        ranges = {}
        for index in range(number.value):
            caps = self._module.ControlCaps()
            self.call(who, "GetControlCaps", camera, index, ctypes.byref(caps))
            if caps.ControlType in Control._value2member_map_:
                ranges[Control(caps.ControlType)] = ControlRange(
                    caps.MinValue, caps.MaxValue, caps.DefaultValue, bool(caps.IsWritable), bool(caps.IsAutoSupported)
                )
        return ranges

    def value(self, who: str, camera: int, control: Control) -> int:
        """A control's value."""
        value, automatic = ctypes.c_long(), ctypes.c_int()
        self.call(who, "GetControlValue", camera, int(control), ctypes.byref(value), ctypes.byref(automatic))
        return value.value

    def set_value(self, who: str, camera: int, control: Control, value: int) -> int:
        """Set a control, not automatic; returns what it became: the library clamps silently."""
        self.call(who, "SetControlValue", camera, int(control), value, 0)
        return self.value(who, camera, control)

    def roi(self, who: str, camera: int) -> tuple[int, int, int, int, int, int]:
        """(x, y, width, height, binning, image type) in force."""
        width, height, binning, kind, x, y = (ctypes.c_int() for _ in range(6))
        self.call(who, "GetROIFormat", camera, *map(ctypes.byref, (width, height, binning, kind)))
        self.call(who, "GetStartPos", camera, ctypes.byref(x), ctypes.byref(y))
        return x.value, y.value, width.value, height.value, binning.value, kind.value

    def exposure_status(self, who: str, camera: int) -> int:
        """0 idle, 1 working, 2 success, 3 failed."""
        status = ctypes.c_int()
        self.call(who, "GetExpStatus", camera, ctypes.byref(status))
        return status.value

    def dropped(self, who: str, camera: int) -> int:
        """Frames lost by the library since the video began."""
        number = ctypes.c_int()
        self.call(who, "GetDroppedFrames", camera, ctypes.byref(number))
        return number.value

    def serial_number(self, who: str, camera: int) -> str:
        """Hexadecimal; empty where the camera has none."""
        number = self._module.SN()
        code = self.code("GetSerialNumber", camera, ctypes.byref(number))
        text = bytes(number.SN).hex()
        return text if code == 0 and text.strip("0") else ""

    def flash_id(self, who: str, camera: int) -> str:
        """What somebody wrote into the camera's memory; empty where there is nothing."""
        flash = self._module.ID()
        if self.code("GetID", camera, ctypes.byref(flash)) != 0:
            return ""
        return bytes(flash.ID).split(b"\0")[0].decode("ascii", "replace")

    def version(self) -> str:
        """Of the library."""
        return str(self._lib.ASIGetSDKVersion().decode("ascii", "replace"))

    def pointer(self, frame: NDArray[Any]) -> tuple[Any, int]:
        """(address, bytes) of a frame's pixels as the library takes them."""
        kind = ctypes.POINTER(ctypes.c_ubyte)
        return ctypes.cast(frame.ctypes.data, kind), frame.nbytes


def shared_sdk(library: str | None) -> Sdk:
    """The library's calls; one object for each library, as it knows which cameras are open."""
    module = load(library)
    return _sdks.setdefault(module.__name__, Sdk(module))


_sdks: dict[str, Sdk] = {}


def _attached(info: Any) -> Attached:
    formats = []
    for kind in info.SupportedVideoFormat:
        if kind < 0:
            break
        formats.append(int(kind))
    pattern = BAYER_PATTERNS[info.BayerPattern] if info.IsColorCam and 0 <= info.BayerPattern < 4 else None
    return Attached(
        id=int(info.CameraID),
        name=info.Name.decode("ascii", "replace"),
        width_px=int(info.MaxWidth),
        height_px=int(info.MaxHeight),
        pixel_size_um=float(info.PixelSize),
        bit_depth=int(info.BitDepth),
        bayer_pattern=pattern,
        binnings=tuple(int(binning) for binning in info.SupportedBins if binning > 0),
        formats=tuple(formats),
        has_guide_port=bool(info.ST4Port),
        has_cooler=bool(info.IsCoolerCam),
        usb3=bool(info.IsUSB3Camera) and bool(info.IsUSB3Host),
        e_per_adc=float(info.ElecPerADU),
    )
