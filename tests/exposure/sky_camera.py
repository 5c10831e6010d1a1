"""A camera on the event loop that looks at an even sky, as bright as a test says, and fails when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np

from acquisition.camera import Accepted, CameraInfo, CameraSettings, CameraStatus, FrameTruth, check_settings
from acquisition.errors import DeviceBusy, DeviceGone
from acquisition.images import FrameFacts, Image
from acquisition.virtual_time import utc_now

BIAS = 100
SATURATION = 60000
INFO = CameraInfo(
    name="Sky camera",
    camera_id="sky-1",
    width_px=24,
    height_px=16,
    pixel_size_um=3.75,
    bit_depth=16,
    exposure_range_s=(1e-4, 300.0),
    gain_range=(0.0, 100.0),
)
Fault = Callable[[int], BaseException | None]


class SkyCamera:
    """A `Camera` under an even sky.

    Parameters
    ----------
    adu_per_s : callable
        Brightness of the sky at an instant of the loop's clock.
    fault : callable
        The number of an exposure -> what it raises, if anything; `DeviceGone` unplugs the camera.

    Attributes
    ----------
    gone : bool
        Whether `connect` fails.
    exposures : list of float
        Of all frames that were begun.
    configured : list of CameraSettings
    fails_to_configure : list of Exception
        What the next attempts to set it raise.
    """

    def __init__(self, adu_per_s: Callable[[float], float], fault: Fault = lambda number: None) -> None:
        self._adu_per_s = adu_per_s
        self._fault = fault
        self._connected = False
        self._exposing = False
        self._settings = CameraSettings(gain=10.0)
        self.gone = False
        self.exposures: list[float] = []
        self.configured: list[CameraSettings] = []
        self.fails_to_configure: list[Exception] = []

    @property
    def info(self) -> CameraInfo:
        self._check()
        return INFO

    @property
    def settings(self) -> CameraSettings:
        self._check()
        return self._settings

    async def connect(self) -> None:
        if self.gone:
            raise DeviceGone("not plugged in")
        self._connected = True
        self._settings = CameraSettings(gain=10.0)  # it was without power and forgot

    async def close(self) -> None:
        self._connected = False

    async def configure(self, settings: CameraSettings) -> Accepted:
        self._check()
        if self._exposing:
            raise DeviceBusy("in the middle of an exposure")
        if self.fails_to_configure:
            raise self.fails_to_configure.pop(0)
        check_settings(settings, INFO)
        gain = self._settings.gain if settings.gain is None else settings.gain
        self._settings = replace(settings, gain=gain)
        self.configured.append(self._settings)
        return Accepted.compare(settings, self._settings)

    async def expose(self) -> Image:
        self._check()
        self._exposing = True
        try:
            return await self._frame()
        finally:
            self._exposing = False

    async def _frame(self) -> Image:
        loop, settings = asyncio.get_running_loop(), self._settings
        start_s, start_utc = loop.time(), utc_now()
        self.exposures.append(settings.exposure_s)
        await asyncio.sleep(settings.exposure_s + 0.1)
        error = self._fault(len(self.exposures))
        if isinstance(error, DeviceGone):
            self._connected = False
        if error is not None:
            raise error
        light = self._adu_per_s(start_s + settings.exposure_s / 2) * settings.exposure_s
        level = min(BIAS + light, SATURATION)
        data = np.full((INFO.height_px, INFO.width_px), level, np.uint16)
        return Image.from_camera(
            data,
            FrameFacts(
                start_utc=start_utc, exposure_s=settings.exposure_s, start_loop_s=start_s, gain=settings.gain,
                data_max_adu=float(SATURATION), frame_seq=len(self.exposures),
            ),
        )  # fmt: skip

    async def stream(self) -> AsyncGenerator[Image, None]:
        while True:
            yield await self.expose()

    async def status(self) -> CameraStatus:
        return CameraStatus()

    def truth(self, image: Image) -> FrameTruth | None:
        return None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _check(self) -> None:
        if not self._connected:
            raise DeviceGone("Sky camera is not there")
