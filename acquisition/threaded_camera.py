"""A blocking `Sensor` on a thread of its own, as a `Camera` on the event loop.

In: a `Sensor`. Out: images in leased buffers, with facts made of what the sensor, the settings and the clock say.
All waiting is done here, on the loop, so that a status query or an abort never queues behind an exposure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from acquisition.camera import (
    Accepted,
    CameraInfo,
    CameraSettings,
    CameraStatus,
    ExposureState,
    FrameTruth,
    Sensor,
    check_settings,
    frame_shape,
)
from acquisition.device_thread import DeviceThread
from acquisition.errors import DeviceBusy, DeviceError, DeviceGone, DeviceTimeout, ExposureFailed, Unsupported
from acquisition.frame_pool import FramePool
from acquisition.frame_start import FrameStart, Look, VideoClock
from acquisition.images import FrameFacts, Image
from acquisition.virtual_time import utc_now

log = logging.getLogger(__name__)

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

POLL_S = 0.0015  # between questions near the end of an exposure
NEAR_END_S = 0.2
MAX_PAUSE_S = 0.25  # between questions before that
VIDEO_SLICE_S = 0.05


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the calls of a `Sensor` may take, s."""

    open_s: float = 15.0
    configure_s: float = 5.0
    call_s: float = 5.0  # start, ask, status, one slice of a video
    read_s: float = 10.0
    stop_s: float = 1.5  # stop, close
    readout_s: float = 15.0  # from the end of the exposure until the sensor says that the frame is ready


@dataclass(slots=True)
class _Video:
    """A running video: where the next frame goes, and its times."""

    landing: NDArray[Any]
    clock: VideoClock


class _Job:
    """What occupies the camera; `closed` is set when the camera is closed under it."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class ThreadedCamera:
    """A `Camera` made of a blocking `Sensor`.

    Settings survive closing and opening again: they are put in force before the next exposure.

    Parameters
    ----------
    sensor : Sensor
        Only ever called from the device's thread.
    name : str
        For messages, from before the device is opened.
    thread : DeviceThread, optional
        Shared with whatever else is the same piece of hardware; otherwise the camera has its own.
    deadlines : Deadlines
    n_buffers : int, optional
        How many frames can be held by others at the same time; by default 3 to 16, depending on their size.
    remedies : sequence of callables
        What helps after a frame that failed or did not come, mildest first: blocking functions that are called in the
        thread, each followed by another attempt. When they are used up the failure is raised. Frames lost so are
        among the dropped ones.
    truth : callable, optional
        An emulator's answer to `truth`.
    """

    def __init__(
        self,
        sensor: Sensor,
        name: str,
        *,
        thread: DeviceThread | None = None,
        deadlines: Deadlines = Deadlines(),
        n_buffers: int | None = None,
        remedies: Sequence[Callable[[], None]] = (),
        truth: Callable[[Image], FrameTruth | None] | None = None,
    ) -> None:
        self.name = name
        self._remedies = remedies
        self._truth = truth
        self._sensor = sensor
        self._thread = DeviceThread(name) if thread is None else thread
        self._deadlines = deadlines
        self._n_buffers = n_buffers
        self._info: CameraInfo | None = None
        self._n_users = 0
        self._opening = asyncio.Lock()
        self._maybe_open = False  # the sensor; used in the thread only
        self._settings: CameraSettings | None = None
        self._in_force = False  # the settings, since the device was opened
        self._facts = FrameFacts()  # what info and settings say about every frame
        self._job: _Job | None = None
        self._pool: FramePool | None = None
        self._n_dropped = 0  # by former pools, and failed attempts
        self._frame_seq = 0

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise DeviceError(f"{self.name} is not connected")
        return self._info

    @property
    def settings(self) -> CameraSettings:
        if self._settings is None:
            raise DeviceError(f"{self.name} is not connected")
        return self._settings

    async def connect(self) -> None:
        async with self._opening:
            if self._info is None or self._thread.gone:
                self._info = await self._thread.open(self._open, deadline_s=self._deadlines.open_s)
                self._in_force = False
                if self._settings is None:
                    self._settings = CameraSettings(bits=max(self._info.bits))
            self._n_users += 1

    async def close(self) -> None:
        async with self._opening:
            self._n_users = max(self._n_users - 1, 0)
            if self._n_users or self._info is None:
                return
            self._info = None
            if self._job is not None:
                self._job.closed.set_result(None)
                self._job = None
            await self._to_the_end(lambda: self._thread.close(self._close, deadline_s=self._deadlines.stop_s))

    async def configure(self, settings: CameraSettings) -> Accepted:
        check_settings(settings, self.info)
        with self._exclusively("a change of settings"):
            return await self._apply(settings)

    async def expose(self) -> Image:
        with self._exclusively("an exposure") as job:
            pool = await self._prepare()
            return await self._snap_until_it_works(job, pool)

    async def stream(self) -> AsyncGenerator[Image, None]:
        with self._exclusively("a stream") as job:
            pool = await self._prepare()
            try:
                video = await self._begin_video(job, pool)
                while True:
                    if video is None:
                        yield await self._snap_until_it_works(job, pool)
                    else:
                        yield await self._next_until_it_works(job, pool, video)
            finally:
                await self._stop(job)

    async def status(self) -> CameraStatus:
        _ = self.info
        status = await self._thread.call(self._sensor.status, deadline_s=self._deadlines.call_s)
        return replace(status, n_dropped=self._dropped(status.n_dropped))

    def truth(self, image: Image) -> FrameTruth | None:
        return None if self._truth is None else self._truth(image)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- on the loop ---

    @contextmanager
    def _exclusively(self, what: str) -> Iterator[_Job]:
        _ = self.info
        if self._job is not None:
            raise DeviceBusy(f"{self.name}: {what} must wait, {self._job.what} runs")
        job = self._job = _Job(what)
        try:
            yield job
        finally:
            if self._job is job:
                self._job = None

    async def _call(self, job: _Job, function: Callable[[*Ts], T], *args: *Ts, deadline_s: float) -> T:
        if job.closed.done():
            raise DeviceGone(f"{self.name}: closed during {job.what}")
        return await self._thread.call(function, *args, deadline_s=deadline_s)

    async def _apply(self, settings: CameraSettings) -> Accepted:
        self._in_force = False  # half of them may be, if this fails: then all are put in force before the next frame
        accepted = await self._thread.call(self._configure, settings, deadline_s=self._deadlines.configure_s)
        if isinstance(accepted, ValueError):
            raise accepted
        self._settings = accepted
        self._in_force = True
        self._facts = _facts_of(self.info, accepted)
        return Accepted.compare(settings, accepted)

    async def _prepare(self) -> FramePool:
        """Settings in force, and a pool for frames of their shape."""
        if not self._in_force:
            await self._apply(self.settings)
        shape, dtype = frame_shape(self.settings, self.info), np.uint8 if self.settings.bits == 8 else np.uint16
        pool = self._pool
        if pool is None or pool.shape != shape or pool.dtype != dtype:
            self._n_dropped += pool.n_dropped if pool is not None else 0
            self._pool = None  # let go of the old buffers first
            pool = await self._thread.call(_make_pool, shape, dtype, self._n_buffers, deadline_s=self._deadlines.open_s)
            self._pool = pool
        return pool

    async def _snap_until_it_works(self, job: _Job, pool: FramePool) -> Image:
        frame = self._lease(pool)
        for remedy in self._remedies:
            try:
                return await self._snap(job, frame)
            except (ExposureFailed, DeviceTimeout) as error:
                if self._thread.gone:
                    raise
                problem = str(error)
            await self._mend(job, problem, remedy)
        return await self._snap(job, frame)

    async def _next_until_it_works(self, job: _Job, pool: FramePool, video: _Video) -> Image:
        for remedy in self._remedies:
            try:
                return await self._next(job, pool, video)
            except DeviceTimeout as error:
                if self._thread.gone:
                    raise
                problem = str(error)
            await self._stop(job)
            await self._mend(job, problem, remedy)
            began_s = await self._call(job, self._start_video, _clock(), deadline_s=self._deadlines.call_s)
            video.clock = VideoClock(began_s)
        return await self._next(job, pool, video)

    async def _mend(self, job: _Job, problem: str, remedy: Callable[[], None]) -> None:
        """Count what was lost and apply a remedy."""
        self._n_dropped += 1
        log.warning("%s; trying again after: %s", problem, remedy.__name__.replace("_", " "))
        await self._call(job, remedy, deadline_s=self._deadlines.open_s)

    async def _snap(self, job: _Job, frame: NDArray[Any]) -> Image:
        clock = _clock()
        try:
            start = await self._call(job, self._start, clock, deadline_s=self._deadlines.call_s)
            await self._until_ready(job, start.loop_s + self.settings.exposure_s)
            extra = await self._call(job, self._read, frame, deadline_s=self._deadlines.read_s)
        except BaseException:
            await self._stop(job)
            raise
        return self._image(frame, start, extra)

    async def _until_ready(self, job: _Job, end_s: float) -> None:
        clock = _clock()
        pause_s = POLL_S
        while True:
            state = await self._call(job, self._sensor.ask, deadline_s=self._deadlines.call_s)
            if state is ExposureState.READY:
                return
            if state is not ExposureState.WORKING:
                raise ExposureFailed(f"{self.name}: the exposure gave no frame, the camera says {state.value}")
            left_s = end_s - clock()
            if left_s < -self._deadlines.readout_s:
                raise DeviceTimeout(f"{self.name}: no frame {-left_s:.1f} s after the end of the exposure")
            # Long exposures are asked rarely, but soon at first: many failures show at once.
            pause_s = max(POLL_S, min(2 * pause_s, MAX_PAUSE_S, left_s - NEAR_END_S))
            await asyncio.wait((job.closed,), timeout=pause_s)

    async def _begin_video(self, job: _Job, pool: FramePool) -> _Video | None:
        """Start a video; None where the camera has none."""
        try:
            began_s = await self._call(job, self._start_video, _clock(), deadline_s=self._deadlines.call_s)
        except Unsupported:
            return None
        return _Video(self._lease(pool), VideoClock(began_s))

    async def _next(self, job: _Job, pool: FramePool, video: _Video) -> Image:
        """The next frame of a video; while nobody returns a buffer, frames are dropped and counted."""
        clock = _clock()
        exposure_s = self.settings.exposure_s
        patience_s = 2 * exposure_s + self._deadlines.readout_s
        deadline_s = clock() + patience_s
        while True:
            look = await self._call(job, self._wait_video, video.landing, clock, deadline_s=self._deadlines.call_s)
            video.clock.looked(look)
            late = look.loop_s > deadline_s
            if look.facts is not None:
                spare = self._lease(pool) if late else pool.lease()
                if spare is not None:
                    frame, video.landing = video.landing, spare
                    return self._image(frame, video.clock.began(look, exposure_s), look.facts)
            elif late:
                raise DeviceTimeout(f"{self.name}: no video frame within {patience_s:.1f} s")

    def _lease(self, pool: FramePool) -> NDArray[Any]:
        """A buffer to expose into, or `ExposureFailed`."""
        frame = pool.lease()
        if frame is None:
            raise ExposureFailed(f"{self.name}: all {pool.n_buffers} frame buffers are in use; let go of some frames")
        return frame

    def _image(self, frame: NDArray[Any], start: FrameStart, extra: FrameFacts) -> Image:
        """The frame as an `Image`; what the sensor knows itself overrides what we know of it."""
        self._frame_seq += 1
        facts: dict[str, Any] = {
            "start_utc": start.utc,
            "start_uncertainty_s": start.uncertainty_s,
            "start_loop_s": start.loop_s,
            "frame_seq": self._frame_seq,
        }
        facts |= {name: value for name in _FACTS if (value := getattr(extra, name)) is not None}
        facts["n_dropped"] = self._dropped(extra.n_dropped or 0)
        return Image.from_camera(frame, replace(self._facts, **facts))

    def _dropped(self, by_sensor: int) -> int:
        return by_sensor + self._n_dropped + (self._pool.n_dropped if self._pool is not None else 0)

    async def _stop(self, job: _Job) -> None:
        if not job.closed.done():
            await self._to_the_end(lambda: self._thread.call(self._sensor.stop, deadline_s=self._deadlines.stop_s))

    async def _to_the_end(self, call: Callable[[], Awaitable[None]]) -> None:
        """Make a call even if the caller is cancelled meanwhile, and only log its failure."""

        async def attempt() -> None:
            try:
                await call()
            except DeviceGone:
                pass  # the thread has said so, once
            except DeviceError as error:
                log.warning("%s", error)

        await asyncio.shield(asyncio.ensure_future(attempt()))

    # --- in the thread ---

    def _open(self) -> CameraInfo:
        if self._maybe_open:
            with suppress(Exception):  # whatever state it is in
                self._sensor.close()
        self._maybe_open = True
        return self._sensor.open()

    def _close(self) -> None:
        self._sensor.close()
        self._maybe_open = False

    def _configure(self, settings: CameraSettings) -> CameraSettings | ValueError:
        try:
            return self._sensor.configure(settings)
        except ValueError as impossible:  # for this device; in any other call it would be the driver's mistake
            return impossible

    def _start(self, clock: Callable[[], float]) -> FrameStart:
        utc, loop_s = utc_now(), clock()
        self._sensor.start()
        return FrameStart(utc, loop_s, clock() - loop_s)

    def _read(self, frame: NDArray[Any]) -> FrameFacts:
        self._sensor.read(frame)
        return self._sensor.facts()

    def _start_video(self, clock: Callable[[], float]) -> float:
        self._sensor.start_video()
        return clock()

    def _wait_video(self, frame: NDArray[Any], clock: Callable[[], float]) -> Look:
        asked_s = clock()
        arrived = self._sensor.wait_video(frame, VIDEO_SLICE_S)
        return Look(asked_s, clock(), utc_now(), self._sensor.facts() if arrived else None)


def _clock() -> Callable[[], float]:
    return asyncio.get_running_loop().time


def _make_pool(shape: tuple[int, int], dtype: DTypeLike, n_buffers: int | None) -> FramePool:
    return FramePool(shape, dtype, n_buffers)


def _facts_of(info: CameraInfo, settings: CameraSettings) -> FrameFacts:
    """What a camera and its settings say about every frame."""
    roi = settings.roi
    x_origin_px, y_origin_px = (roi.x, roi.y) if roi is not None else (0, 0)
    pixel_size_um = info.pixel_size_um * settings.binning if info.pixel_size_um is not None else None
    colour = info.bayer_pattern is not None and settings.binning == 1
    return FrameFacts(
        exposure_s=settings.exposure_s,
        instrument=info.name,
        camera_id=info.camera_id,
        detector=info.detector,
        x_binning=settings.binning,
        y_binning=settings.binning,
        x_pixel_size_um=pixel_size_um,
        y_pixel_size_um=pixel_size_um,
        x_origin_px=x_origin_px,
        y_origin_px=y_origin_px,
        gain=settings.gain,
        offset=settings.offset,
        bit_depth=info.bit_depth,
        set_temp_c=settings.target_temp_c if settings.cooler_on is not False else None,
        bayer_pattern=info.bayer_pattern if colour else None,
        x_bayer_offset=x_origin_px % 2 if colour else None,
        y_bayer_offset=y_origin_px % 2 if colour else None,
        software=_SOFTWARE,
    )


_SOFTWARE = f"starlatch {version('starlatch')}"
_FACTS = tuple(field.name for field in fields(FrameFacts))
