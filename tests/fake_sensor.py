"""A blocking camera in memory, for tests of what stands on `Sensor`: real time, short exposures, faults on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.camera import CameraInfo, CameraSettings, CameraStatus, ExposureState, Roi
from acquisition.errors import DeviceError, Unsupported
from acquisition.images import FrameFacts
from acquisition.threaded_camera import Deadlines

SHORT = Deadlines(open_s=0.4, configure_s=0.4, call_s=0.4, read_s=0.4, stop_s=0.4, readout_s=0.2)
EXPOSURE_S = 0.01
AT_ONCE_S = 3.0  # on a busy machine; what hangs here would last 20 s and more

INFO = CameraInfo(
    name="Fake camera",
    camera_id="fake-1",
    width_px=256,
    height_px=128,
    pixel_size_um=3.75,
    bit_depth=12,
    detector="none",
    binnings=(1, 2),
    bits=(8, 16),
    exposure_range_s=(0.001, 100.0),
    gain_range=(0.0, 100.0),
    offset_range=(0.0, 50.0),
    has_cooler=True,
    has_guide_port=True,
)


class FakeSensor:
    """A `Sensor` whose frames hold their own number in every pixel.

    Faults, each keyed by a call's name ("open", "read", ...):

    - `fail(call, error)`: the next such call raises it;
    - `hang(call)`: the next such call blocks until the returned event is set;
    - `states`: answers for the next `ask` calls, before the true ones.

    Parameters
    ----------
    info : CameraInfo
    video : bool
        Whether it can stream.
    time_scale : float
        How long an exposure of 1 s takes, s.
    """

    def __init__(self, info: CameraInfo = INFO, *, video: bool = True, time_scale: float = 1.0) -> None:
        self._info = info
        self._video = video
        self.time_scale = time_scale
        self.calls: list[str] = []
        self.threads: set[int] = set()
        self.states: list[ExposureState] = []
        self.is_open = False
        self.settings = CameraSettings(gain=10.0, offset=5.0, cooler_on=False)
        self.n_frames = 0
        self._faults: dict[str, Callable[[], None]] = {}
        self._exposing_until_s: float | None = None
        self._next_video_s: float | None = None

    def fail(self, call: str, error: BaseException) -> None:
        def fault() -> None:
            raise error

        self._faults[call] = fault

    def hang(self, call: str) -> threading.Event:
        """Make the next such call hang; setting the returned event lets it go on."""
        release = threading.Event()
        self._faults[call] = lambda: _wait(release)
        return release

    def _enter(self, call: str) -> None:
        self.calls.append(call)
        self.threads.add(threading.get_ident())
        fault = self._faults.pop(call, None)
        if fault is not None:
            fault()
        if not self.is_open and call not in ("open", "close"):
            raise DeviceError(f"Fake camera: {call} on a closed device")

    def open(self) -> CameraInfo:
        self._enter("open")
        if self.is_open:
            raise DeviceError("Fake camera: open already")
        self.is_open = True
        return self._info

    def close(self) -> None:
        self._enter("close")
        self.is_open = False
        self._exposing_until_s = self._next_video_s = None

    def configure(self, settings: CameraSettings) -> CameraSettings:
        self._enter("configure")
        now = self.settings
        low, high = self._info.gain_range or (0.0, 0.0)
        self.settings = replace(
            settings,
            exposure_s=max(settings.exposure_s, self._info.exposure_range_s[0]),
            gain=now.gain if settings.gain is None else min(max(settings.gain, low), high),
            offset=now.offset if settings.offset is None else settings.offset,
            target_temp_c=now.target_temp_c if settings.target_temp_c is None else settings.target_temp_c,
            cooler_on=now.cooler_on if settings.cooler_on is None else settings.cooler_on,
            roi=settings.roi or self._whole(settings.binning),
        )
        return self.settings

    def start(self) -> None:
        self._enter("start")
        self._exposing_until_s = time.monotonic() + self.settings.exposure_s * self.time_scale

    def ask(self) -> ExposureState:
        self._enter("ask")
        if self.states:
            return self.states.pop(0)
        if self._exposing_until_s is None:
            return ExposureState.IDLE
        return ExposureState.READY if time.monotonic() >= self._exposing_until_s else ExposureState.WORKING

    def read(self, buffer: NDArray[Any]) -> None:
        self._enter("read")
        self._exposing_until_s = None
        self._fill(buffer)

    def stop(self) -> None:
        self._enter("stop")
        self._exposing_until_s = self._next_video_s = None

    def start_video(self) -> None:
        self._enter("start_video")
        if not self._video:
            raise Unsupported("Fake camera: no video")
        self._next_video_s = time.monotonic() + self.settings.exposure_s * self.time_scale

    def wait_video(self, buffer: NDArray[Any], timeout_s: float) -> bool:
        self._enter("wait_video")
        if self._next_video_s is None:
            raise DeviceError("Fake camera: no video runs")
        left_s = self._next_video_s - time.monotonic()
        time.sleep(max(min(left_s, timeout_s), 0.0))
        if left_s > timeout_s:
            return False
        self._next_video_s += self.settings.exposure_s * self.time_scale
        self._fill(buffer)
        return True

    def status(self) -> CameraStatus:
        self._enter("status")
        return CameraStatus(ccd_temp_c=-5.0, cooler_power_percent=40.0)

    def facts(self) -> FrameFacts:
        self._enter("facts")
        return FrameFacts(
            egain_e_per_adu=0.1,
            read_noise_e=1.5,
            full_well_e=6000.0,
            data_max_adu=255.0 if self.settings.bits == 8 else 65520.0,
            ccd_temp_c=-5.0,
            cooler_power_percent=40.0,
            row_order="TOP-DOWN",
            readout_mode=f"RAW{self.settings.bits}",
            usb_limit=40.0,
        )

    def _whole(self, binning: int) -> Roi:
        return Roi(0, 0, self._info.width_px // binning, self._info.height_px // binning)

    def _fill(self, buffer: NDArray[Any]) -> None:
        roi = self.settings.roi or self._whole(self.settings.binning)
        assert buffer.shape == (roi.height, roi.width)
        assert buffer.dtype == (np.uint8 if self.settings.bits == 8 else np.uint16)
        assert buffer.flags.c_contiguous
        self.n_frames += 1
        buffer.fill(self.n_frames % 256)


def _wait(release: threading.Event) -> None:
    if not release.wait(30.0):
        raise AssertionError("a test left a call hanging")
