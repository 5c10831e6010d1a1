"""``replay://``: FITS files as a camera, on the event loop.

In: a glob pattern. Out: its files in the order of their names, each when its DATE-OBS and exposure time say, counted
from the first one, with the header's own facts.
"""

from __future__ import annotations

import asyncio
import glob
import math
import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Self

from acquisition.camera import (
    Accepted,
    Camera,
    CameraInfo,
    CameraSettings,
    CameraStatus,
    FrameTruth,
    check_settings,
)
from acquisition.devices import DeviceContext, DeviceUrl, Driver
from acquisition.errors import (
    ConfigError,
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DeviceTimeout,
    ExposureFailed,
)
from acquisition.images import Image

READ_S = 30.0
LONGEST_PAUSE_S = 60.0
"""Between one frame's end and the next one's beginning; longer ones, as between nights, are cut to that."""
LONGEST_S = 86400.0


class ReplayCamera:
    """A camera that delivers files.

    What they are cannot be changed: settings come back as the last file that was read has them, the detector is what
    a file holds. A frame takes the exposure time that its header states, or else the one asked for, and begins no
    sooner after the one before than DATE-OBS says (up to `LONGEST_PAUSE_S`); a cancelled one comes again. After the
    last file `expose` raises `DeviceGone` and `stream` ends, and connecting anew begins with the first. A file that
    cannot be read is an `ExposureFailed`, and the next one follows.

    Parameters
    ----------
    pattern : str
        Of file names, as `glob` takes it (``**`` for any depth); a directory means its ``*.fit*`` files.
    loop : bool
        Begin again after the last file.
    """

    def __init__(self, pattern: str, loop: bool = False) -> None:
        self.pattern = os.path.join(pattern, "*.fit*") if os.path.isdir(pattern) else pattern
        self._loop = loop
        self._asked_s = CameraSettings().exposure_s
        self._n_users = 0
        self._opening = asyncio.Lock()
        self._opened: _Series | None = None

    @property
    def info(self) -> CameraInfo:
        return self._series.info

    @property
    def settings(self) -> CameraSettings:
        image = self._series.last
        return CameraSettings(
            exposure_s=self._exposure_s(image),
            gain=image.facts.gain,
            offset=image.facts.offset,
            bits=8 if image.data.dtype.itemsize == 1 else 16,
            target_temp_c=image.facts.set_temp_c,
        )

    async def connect(self) -> None:
        """Look for the files; `DeviceNotFound` if there is none that can be read."""
        async with self._opening:
            if self._opened is None:
                paths = sorted(glob.glob(self.pattern, recursive=True))
                if not paths:
                    raise DeviceNotFound(f"no file matches {self.pattern!r}")
                self._opened = _Series(paths, await _first_readable(paths))
            self._n_users += 1

    async def close(self) -> None:
        self._n_users = max(self._n_users - 1, 0)
        if self._n_users == 0 and self._opened is not None:
            self._opened.closed.set()
            self._opened = None

    async def configure(self, settings: CameraSettings) -> Accepted:
        check_settings(settings, self.info)
        if self._series.exposing:
            raise DeviceBusy(f"{self.info.name}: settings must wait, an exposure runs")
        self._asked_s = settings.exposure_s
        return Accepted.compare(settings, self.settings)

    async def expose(self) -> Image:
        """The next file; `DeviceGone` when all have been delivered."""
        series = self._series
        if series.exposing:
            raise DeviceBusy(f"{self.info.name}: an exposure runs already")
        if self._ended(series):
            raise DeviceGone(f"all {len(series.paths)} frames of {self.pattern!r} are served")
        series.exposing = True
        try:
            return await self._frame(series)
        finally:
            series.exposing = False

    async def stream(self) -> AsyncGenerator[Image, None]:
        """The files from the next one on, to the last."""
        while not self._ended(self._series):
            yield await self.expose()

    async def status(self) -> CameraStatus:
        facts = self._series.last.facts
        return CameraStatus(ccd_temp_c=facts.ccd_temp_c, cooler_power_percent=facts.cooler_power_percent)

    def truth(self, image: Image) -> FrameTruth | None:
        return None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _series(self) -> _Series:
        if self._opened is None:
            raise DeviceError(f"replay of {self.pattern!r} is not connected")
        return self._opened

    def _ended(self, series: _Series) -> bool:
        return series.n_begun >= len(series.paths) and not self._loop

    def _exposure_s(self, image: Image) -> float:
        return self._asked_s if image.facts.exposure_s is None else image.facts.exposure_s

    async def _frame(self, series: _Series) -> Image:
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        path = series.paths[series.n_begun % len(series.paths)]
        try:
            series.last = image = await _read(path)
        except ExposureFailed:
            series.n_begun += 1
            raise
        start_s, exposure_s = max(asked_s, series.due_s(image)), self._exposure_s(image)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(start_s + exposure_s):
                await series.closed.wait()
                raise DeviceGone(f"replay of {self.pattern!r} was closed during an exposure")
        series.n_begun += 1
        series.before = image.facts.start_utc, start_s, start_s + exposure_s
        return _delivered(image, start_s, series.n_begun)


class _Series:
    """An open series of files and how far it has been played."""

    def __init__(self, paths: list[str], first: Image) -> None:
        self.paths = paths
        self.info = _info(first)
        self.last = first  # that was read
        self.n_begun = 0  # frames delivered or found unreadable
        self.before: tuple[datetime | None, float, float] = None, 0.0, 0.0  # the last frame: DATE-OBS, begin, end
        self.exposing = False
        self.closed = asyncio.Event()

    def due_s(self, image: Image) -> float:
        """When a frame begins on the loop's clock, at the earliest, if it follows the last one as it once did."""
        utc = image.facts.start_utc
        before_utc, began_s, ended_s = self.before
        if utc is None or before_utc is None:
            return -math.inf
        return min(began_s + (utc - before_utc).total_seconds(), ended_s + LONGEST_PAUSE_S)


def _info(image: Image) -> CameraInfo:
    facts = image.facts
    height, width = image.data.shape[-2:]
    return CameraInfo(
        name=facts.instrument or "replay",
        camera_id=facts.camera_id or "replay",
        width_px=width,
        height_px=height,
        pixel_size_um=facts.x_pixel_size_um,  # a file's pixels are this camera's, binned before or not
        bit_depth=facts.bit_depth or min(8 * image.data.dtype.itemsize, 16),
        detector=facts.detector,
        bayer_pattern=facts.bayer_pattern,
        bits=(8, 16),
        exposure_range_s=(0.0, LONGEST_S),
    )


def _delivered(image: Image, start_s: float, frame_seq: int) -> Image:
    """A file's image as a camera's: read-only, `raw` present, and its start known on the loop's clock."""
    facts, header = replace(image.facts, start_loop_s=start_s), image.header
    if facts.frame_seq is None:
        facts = replace(facts, frame_seq=frame_seq)
        header["FRAMESEQ"] = (frame_seq, "number of the frame, counted in playing back")
    frame = Image.from_camera(image.data, facts, header)
    return frame.derive(
        mask=image.safe_mask,
        uncertainty=image.safe_uncertainty,
        catalog=image.safe_catalog,
        raw=image.data if image.safe_raw is None else image.safe_raw,
    )


async def _read(path: str) -> Image:
    try:
        async with asyncio.timeout(READ_S):
            image = await asyncio.to_thread(Image.from_file, path)
    except TimeoutError:
        raise DeviceTimeout(f"reading {path} took more than {READ_S:g} s") from None
    except (OSError, ValueError) as error:
        raise ExposureFailed(f"{path}: {error}") from error
    if image.data.ndim < 2:
        raise ExposureFailed(f"{path}: the data has {image.data.ndim} axis, an image has two or three")
    return image


async def _first_readable(paths: list[str]) -> Image:
    errors = []
    for path in paths:
        try:
            return await _read(path)
        except ExposureFailed as error:
            errors.append(error)
    raise DeviceNotFound(f"no readable image among {len(paths)} files: {errors[0]}")


def _open(url: DeviceUrl, context: DeviceContext) -> Camera:
    url.check_options("loop")
    pattern = os.path.expanduser(url.name + url.path)
    if not pattern:
        raise ConfigError(f"{url.text!r} names no files; write {DRIVER.example}")
    return ReplayCamera(pattern, loop=url.number("loop", 0, 0, 1) == 1)


def _discover() -> None:
    return None


DRIVER: Driver[Camera] = Driver(
    summary="FITS files played back with their own timing (?loop=1)",
    example="replay:///nights/2026-03-01/*.fits",
    open=_open,
    discover=_discover,
)
