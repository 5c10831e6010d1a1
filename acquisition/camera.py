"""The camera contracts: `Camera`, what the suite uses (async), and `Sensor`, what a driver's author writes (blocking).

In: `CameraSettings`. Out: `Image` objects whose facts say everything the camera knows of the frame.
`threaded_camera.ThreadedCamera` turns a `Sensor` into a `Camera`; a simulator that lives on the event loop implements
`Camera` itself.
"""

from __future__ import annotations

import enum
import logging
import math
from collections.abc import AsyncGenerator
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from numpy.typing import NDArray

from acquisition.images import FrameFacts, Image, TangentWcs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Roi:
    """A rectangle of the detector in BINNED pixels, origin 0 at the first pixel read out."""

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}+{self.x}+{self.y}"


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What a camera is asked to do. None leaves a setting as the camera has it (opening a camera changes nothing)."""

    exposure_s: float = 1.0
    gain: float | None = None  # camera units
    offset: float | None = None  # camera units
    binning: int = 1
    roi: Roi | None = None  # None: the whole detector
    bits: int = 16  # per stored pixel, 8 or 16
    target_temp_c: float | None = None
    cooler_on: bool | None = None


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What a camera is; it does not change while the camera is open."""

    name: str
    camera_id: str  # serial number or whatever else tells two of a kind apart
    width_px: int
    height_px: int
    pixel_size_um: float | None  # unbinned
    bit_depth: int  # of the ADC
    detector: str | None = None
    bayer_pattern: str | None = None
    binnings: tuple[int, ...] = (1,)
    bits: tuple[int, ...] = (16,)
    exposure_range_s: tuple[float, float] = (0.0, 3600.0)
    gain_range: tuple[float, float] | None = None  # None: not settable
    offset_range: tuple[float, float] | None = None
    has_cooler: bool = False
    has_guide_port: bool = False


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A setting that the hardware changed."""

    name: str
    requested: Any
    accepted: Any

    def __str__(self) -> str:
        return f"{self.name}: asked for {self.requested}, camera took {self.accepted}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The settings now in force, and how they differ from those asked for."""

    settings: CameraSettings
    adjustments: tuple[Adjustment, ...] = ()

    @classmethod
    def compare(cls, requested: CameraSettings, accepted: CameraSettings) -> Accepted:
        """List what differs and log it; None in the request means "as it is" and never differs."""
        adjustments = tuple(
            Adjustment(f.name, getattr(requested, f.name), getattr(accepted, f.name))
            for f in fields(CameraSettings)
            if getattr(requested, f.name) is not None and getattr(requested, f.name) != getattr(accepted, f.name)
        )
        for adjustment in adjustments:
            log.warning("%s", adjustment)
        return cls(accepted, adjustments)


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """What changes while a camera is open; None where it cannot say."""

    ccd_temp_c: float | None = None
    cooler_power_percent: float | None = None
    n_dropped: int = 0


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """What only a simulator knows of a frame: where the stars would be without seeing and noise.

    Attributes
    ----------
    dx_px, dy_px : float
        Displacement of the field since the world began, averaged over the exposure; px of the frame as delivered.
    ra_arcsec, dec_arcsec : float
        The same along the mount's axes, arcs on the sky, signs as the guider's (positive RA is removed by a West
        pulse, positive Dec by a South pulse).
    wcs : TangentWcs or None
        Of the frame as delivered.
    """

    dx_px: float
    dy_px: float
    ra_arcsec: float
    dec_arcsec: float
    wcs: TangentWcs | None = None


@runtime_checkable
class Camera(Protocol):
    """A camera on the event loop. Aborting is cancelling: a cancelled `expose` stops the exposure and raises on.

    Frames may live in leased buffers (`frame_pool`): hold on to a handful; of more than that, keep copies of the data.
    """

    @property
    def info(self) -> CameraInfo:
        """What the camera is; known once it is connected (before: DeviceError)."""

    @property
    def settings(self) -> CameraSettings:
        """The settings in force, as the hardware accepted them."""

    async def connect(self) -> None:
        """Open the device without changing anything about it.

        Calls nest: the device is let go by as many `close` as there were `connect`.
        """

    async def close(self) -> None:
        """Stop whatever runs (it raises `DeviceGone`) and let the device go; never raises, harmless when not open."""

    async def configure(self, settings: CameraSettings) -> Accepted:
        """Put settings in force before the next exposure, and say what the hardware made of them.

        Raises
        ------
        ValueError
            If a setting is impossible (see `check_settings`); nothing is changed then.
        DeviceBusy
            While an exposure or a stream runs.
        """

    async def expose(self) -> Image:
        """One frame with the settings in force.

        Raises
        ------
        DeviceTimeout, DeviceGone, DeviceBusy, ExposureFailed
        """

    def stream(self) -> AsyncGenerator[Image, None]:
        """Frames one after the other until the iteration is closed; dropped frames are counted in the facts.

        Leave it through ``contextlib.aclosing``: a generator merely dropped stops when it is collected.
        """

    async def status(self) -> CameraStatus:
        """Temperature, cooler, counters; answers while an exposure runs."""

    def truth(self, image: Image) -> FrameTruth | None:
        """What a simulator knows beyond a real device about a recent frame of its own; None for real cameras."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ExposureState(enum.Enum):
    """What a `Sensor` answers when asked about the running exposure."""

    IDLE = "idle"
    WORKING = "working"
    READY = "ready"
    FAILED = "failed"


class Sensor(Protocol):
    """What the author of a blocking driver writes: short calls, none of which waits for an exposure.

    All calls come from one thread, one at a time. A call that may wait (`wait_video`) waits 50 ms at the most. Raise
    `DeviceError`s; anything else becomes a `DeviceError` that names the call.
    """

    def open(self) -> CameraInfo:
        """Open the device, change nothing."""

    def close(self) -> None:
        """Stop everything and let the device go; harmless when it is not open."""

    def configure(self, settings: CameraSettings) -> CameraSettings:
        """Apply, read back, and return what the hardware accepted (never None where the device knows a value).

        Raises ValueError for what the device can make nothing sensible of, such as too small a region.
        """

    def start(self) -> None:
        """Begin one exposure and return at once."""

    def ask(self) -> ExposureState:
        """How the exposure is doing."""

    def read(self, buffer: NDArray[Any]) -> None:
        """Read the finished frame into a [y, x] array of the ROI's shape (uint8 or uint16, C-contiguous)."""

    def stop(self) -> None:
        """Abort a running exposure or video; harmless when there is none."""

    def start_video(self) -> None:
        """Begin continuous exposures; raise `Unsupported` where the device cannot."""

    def wait_video(self, buffer: NDArray[Any], timeout_s: float) -> bool:
        """Wait at most `timeout_s` (<= 50 ms) for the next frame; True when it is in `buffer`."""

    def status(self) -> CameraStatus:
        """Temperature and counters."""

    def facts(self) -> FrameFacts:
        """What this device knows of its frames beyond settings and time (e-/ADU, read noise, DATAMAX ...)."""


def frame_shape(settings: CameraSettings, info: CameraInfo) -> tuple[int, int]:
    """[y, x] of the frames that these settings give, binned px."""
    if settings.roi is not None:
        return settings.roi.height, settings.roi.width
    return info.height_px // settings.binning, info.width_px // settings.binning


def check_settings(settings: CameraSettings, info: CameraInfo) -> None:
    """Reject settings that no hardware could round into something sensible.

    What hardware clamps by itself (a gain beyond its range) is not an error: it comes back as an `Adjustment`.

    Raises
    ------
    ValueError
        Names every impossible setting, its value, and what is allowed: an exposure that is not finite or is negative,
        an unknown binning or bit depth, a ROI that is empty or leaves the detector.
    """
    problems: list[str] = []

    def reject(name: str, value: object, allowed: str) -> None:
        problems.append(f"{name} is {value}; allowed: {allowed}")

    shortest, longest = info.exposure_range_s
    if not math.isfinite(settings.exposure_s) or settings.exposure_s < 0 or settings.exposure_s > longest:
        reject("exposure", f"{settings.exposure_s:g} s", f"{shortest:g} to {longest:g} s")
    numbers = {"gain": settings.gain, "offset": settings.offset, "target temperature": settings.target_temp_c}
    for name, value in numbers.items():
        if value is not None and not math.isfinite(value):
            reject(name, value, "a finite number")
    if settings.bits not in info.bits:
        reject("bits", settings.bits, ", ".join(map(str, info.bits)))
    if settings.binning not in info.binnings:
        reject("binning", settings.binning, ", ".join(map(str, info.binnings)))
    elif settings.roi is not None:
        roi, width, height = settings.roi, info.width_px // settings.binning, info.height_px // settings.binning
        inside = roi.x >= 0 and roi.y >= 0 and roi.x + roi.width <= width and roi.y + roi.height <= height
        if roi.width < 1 or roi.height < 1 or not inside:
            reject("ROI", roi, f"a rectangle inside {width}x{height} binned px")
    if problems:
        raise ValueError(f"{info.name}: " + "; ".join(problems))
