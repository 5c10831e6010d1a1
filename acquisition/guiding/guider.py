"""The guider: select stars, calibrate, and keep the stars where they are.

In: frames that a chain of processors has measured. Out: pulses to the mount, and events (`events.py`) to a listener.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np

from acquisition.camera import Camera
from acquisition.errors import CalibrationFailed, GuidingError, NotCalibrated
from acquisition.geometry import MountResponse
from acquisition.guiding.algorithms import Law
from acquisition.guiding.algorithms.worm import Worm
from acquisition.guiding.announcer import Announcer
from acquisition.guiding.apply import Pulse
from acquisition.guiding.auto_exposure import AutoExposure
from acquisition.guiding.calibration import Fit, Move, Position, calibrate
from acquisition.guiding.events import Calibrated, CalibrationBegan, CalibrationStep, Listener, Selected, State
from acquisition.guiding.measure import FrameSource, Measurement
from acquisition.guiding.orders import Orders
from acquisition.guiding.settings import GuiderSettings
from acquisition.guiding.stretch import Stretch
from acquisition.guiding.watched_mount import WatchedMount
from acquisition.images import Pipeline
from acquisition.mount import Direction, Mount, MountState
from acquisition.virtual_time import utc_now


class Guider:
    """Guides one camera with one mount; both connected and configured, both closed by the caller.

    `run` does everything; `pause`, `resume`, `dither`, `change_laws` and `stop` may be called from outside while it
    runs, and take effect at the next frame. Cancelling `run` stops every pulse.

    Parameters
    ----------
    camera : Camera
    mount : Mount
    chain : Pipeline
        Sets `PixelOffsets` and `GuideStars`; reset whenever new stars are to be chosen.
    settings : GuiderSettings
    listen : callable
        Gets every event, in order, synchronously.
    seed : int
        Of the dithers.
    worm : Worm or None
        What was learned of the mount's on another night.
    """

    def __init__(
        self, camera: Camera, mount: Mount, chain: Pipeline, settings: GuiderSettings, listen: Listener, seed: int = 0,
        worm: Worm | None = None,
    ) -> None:  # fmt: skip
        self._camera = camera
        self._announcer = Announcer(listen)
        self._mount = WatchedMount(mount, self._announcer.notice, settings.alt_az_site)
        self._settings = settings
        self._random = np.random.default_rng(seed)
        auto = None if settings.exposure is None else AutoExposure(settings.exposure, self._announcer.notice)
        self._frames = FrameSource(camera, chain, self._announcer.notice, auto)
        self._orders = Orders()
        self._response: MountResponse | None = None
        self._worm = worm

    @property
    def state(self) -> State:
        return self._announcer.state

    @property
    def response(self) -> MountResponse | None:
        """What calibration found; None before."""
        return self._response

    @property
    def settings(self) -> GuiderSettings:
        """How it guides by now."""
        return self._settings

    def pause(self) -> None:
        """Keep measuring, send no pulses."""
        self._orders.pause = True

    def resume(self) -> None:
        self._orders.pause = False

    def dither(self, amount_px: float, ra_only: bool = False) -> None:
        """Move the lock by a random step of up to `amount_px` on each axis, once guiding.

        Raises
        ------
        ValueError
            If the amount is not finite or negative.
        """
        if not math.isfinite(amount_px) or amount_px < 0:
            raise ValueError(f"dither amount is {amount_px} px; allowed: 0 or more")
        self._orders.dither = amount_px, ra_only

    def change_laws(self, *, ra: Law[Any] | None = None, dec: Law[Any] | None = None) -> None:
        """Guide by other laws, or by the same with other parameters, from the next frame on.

        The same law with other parameters keeps what it knows; another law begins anew (`predictive` with the worm's
        curve that was learned before, if there is one).

        Parameters
        ----------
        ra, dec : Law or None
            None: as before.
        """
        old = self._settings
        self._settings = replace(old, ra_law=ra or old.ra_law, dec_law=dec or old.dec_law)
        self._orders.ra_law, self._orders.dec_law = ra or self._orders.ra_law, dec or self._orders.dec_law

    def stop(self, reason: str = "stopped") -> None:
        """End `run` after the frame now being taken."""
        self._orders.stop = reason

    async def run(self, duration_s: float | None = None, response: MountResponse | None = None) -> None:
        """Select stars, calibrate, and guide for `duration_s` (None: until stopped).

        Parameters
        ----------
        duration_s : float, optional
            Of guiding; the calibration comes before.
        response : MountResponse, optional
            Known from an earlier calibration; it is converted to the binning, declination and side of the pier of
            now, as well as to the angles of rotator and field, and nothing is calibrated.

        Raises
        ------
        CalibrationFailed
            After the last of the allowed attempts.
        """
        async with self._running():
            self._response = None if response is None else response.at_binning(self._camera.settings.binning)
            if self._response is None and not (await self._select() and await self._calibrate()):
                return
            end_s: float | None = None
            while self._orders.stop is None:
                first = await self._select()
                if first is None:
                    return
                if end_s is None:
                    end_s = math.inf if duration_s is None else _now() + duration_s
                await self._guide(first, end_s)

    async def calibrate(self) -> MountResponse | None:
        """Select stars and calibrate, no more; None when stopped before the end.

        Raises
        ------
        CalibrationFailed
            After the last of the allowed attempts.
        """
        async with self._running():
            self._response = None
            if await self._select() and await self._calibrate(self._settings.calibration.time_limit_s):
                self._orders.stop = "calibrated"
        return self._response

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """Whatever happens in here, no pulse is left running and the last state is told."""
        self._orders.stop = None
        try:
            yield
        except asyncio.CancelledError:
            self._orders.stop = "interrupted"
            raise
        except GuidingError as error:
            self._orders.stop = str(error)
            raise
        finally:
            await self._mount.stop()
            self._announcer.change(State.STOPPED, self._orders.stop or "ended")

    # ---- selecting and calibrating

    async def _select(self) -> Measurement | None:
        """Take frames until stars can be chosen; None when stopped before."""
        await self._frames.forget()
        self._announcer.change(State.LOOPING, "looking for guide stars")
        told = ""
        while self._orders.stop is None:
            found = await self._frames.measure()
            if isinstance(found, Measurement):
                self._announcer.tell(Selected(found.t_s, found.stars))
                self._announcer.change(State.SELECTED, f"{sum(star.used for star in found.stars)} guide stars chosen")
                return found
            if found != told:
                self._announcer.notice(f"no guide stars yet: {found}")
                told = found
        return None

    async def _calibrate(self, select_limit_s: float | None = None) -> bool:
        """Measure the mount's response; False when stopped before.

        After an attempt that failed, stars are looked for so long at the most (None: as long as it takes).
        """
        for attempt in range(1, self._settings.calibration_attempts + 1):
            mount = await self._mount.state()
            self._announcer.change(State.CALIBRATING, f"attempt {attempt}")
            self._announcer.tell(CalibrationBegan(_now(), utc_now()))
            try:
                fit = await calibrate(
                    self._settings.calibration,
                    self._calibration_position,
                    self._calibration_pulse,
                    self._calibration_progress,
                    min(self._mount.info.max_pulse_s, 10.0),
                )
            except CalibrationFailed as error:
                if self._orders.stop is not None:
                    return False
                if attempt == self._settings.calibration_attempts:
                    raise
                self._announcer.notice(f"calibration failed, trying again: {error}")
                try:
                    async with asyncio.timeout(select_limit_s):
                        if await self._select() is None:
                            return False
                except TimeoutError:
                    raise error from None
                continue
            self._calibrated(fit, mount, await self._mount.state())
            return True
        raise AssertionError("unreachable")

    def _calibrated(self, fit: Fit, mount: MountState, after: MountState) -> None:
        before_deg, after_deg = mount.field_angle_deg, after.field_angle_deg
        field_angle_deg = None
        if before_deg is not None and after_deg is not None:
            field_angle_deg = before_deg + math.remainder(after_deg - before_deg, 360) / 2
        self._response = MountResponse(
            fit.ra, fit.dec, mount.dec_deg, mount.pier_side.value, self._camera.settings.binning,
            self._frames.rotator_deg, field_angle_deg,
        )  # fmt: skip
        self._announcer.tell(Calibrated(_now(), self._response, fit.backlash_s))

    async def _calibration_position(self) -> Position | str:
        if self._orders.stop is not None:
            raise CalibrationFailed(self._orders.stop)
        found = await self._frames.measure()
        if isinstance(found, str):
            return f"the camera gives no frames: {found}" if self._frames.camera_fails else found
        return Position(found.t_s, found.dx, found.dy)

    async def _calibration_pulse(self, direction: Direction, duration_s: float) -> None:
        await self._mount.pulse(Pulse(direction, duration_s, 0.0, False))
        await self._frames.moved(self._settings.after_pulse_s)

    def _calibration_progress(self, number: int, of: int | None, move: Move, position: Position) -> None:
        self._announcer.tell(
            CalibrationStep(position.t_s, number, of, move.direction, move.duration_s, position.dx, position.dy)
        )

    async def _guide(self, first: Measurement, end_s: float) -> None:
        """Guide on the stars of `first` until the time is up, somebody stops it, or the telescope points elsewhere."""
        if self._response is None:
            raise NotCalibrated("the mount's response is not known; calibrate first")
        pointing = await self._mount.state()
        response = self._response.at_declination(pointing.dec_deg).at_rotator(self._frames.rotator_deg)
        response = response.at_field_angle(pointing.field_angle_deg)
        response = response.at_pier_side(pointing.pier_side.value, self._settings.pulses_know_pier)
        stretch = Stretch(
            self._frames, self._mount, self._settings, self._orders, self._announcer, self._random, response, pointing,
            first, self._worm,
        )  # fmt: skip
        free = self._frames.running_free() if self._settings.overlapped else contextlib.nullcontext()
        try:
            async with free:
                await stretch.run(end_s)
        finally:
            self._worm = stretch.worm


def _now() -> float:
    return asyncio.get_running_loop().time()
