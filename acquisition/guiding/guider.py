"""The guider: select stars, calibrate, and keep the stars where they are.

In: frames that a chain of processors has measured. Out: pulses to the mount, and events (`events.py`) to a listener.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from acquisition.camera import Camera
from acquisition.errors import CalibrationFailed, GuidingError, NotCalibrated
from acquisition.geometry import MountResponse, cd_scale_arcsec, pixel_scale_arcsec
from acquisition.guiding.algorithms import Hysteresis, Law, ResistSwitch
from acquisition.guiding.apply import AxisLimits, Pulse, plan_pulses
from acquisition.guiding.axis import Axis
from acquisition.guiding.calibration import CalibrationRule, Fit, Move, Position, calibrate
from acquisition.guiding.dither import random_dither
from acquisition.guiding.events import (
    AxisStep,
    Calibrated,
    CalibrationBegan,
    CalibrationStep,
    DitherBegan,
    Dropped,
    GuidingBegan,
    GuidingEnded,
    Listener,
    Notice,
    Selected,
    Settling,
    State,
    StateChanged,
    Step,
)
from acquisition.guiding.lock import Lock
from acquisition.guiding.measure import FrameSource, Measurement
from acquisition.guiding.settle import Outcome, SettleRule, SettleState, settle_step
from acquisition.guiding.watched_mount import WatchedMount, same_pointing
from acquisition.images import Image, Pipeline
from acquisition.mount import Direction, Mount, MountState
from acquisition.virtual_time import VirtualTimeLoop, utc_now

_LOOK_EVERY_S = 10.0  # at what the mount says of itself
_JUMP_PX = 5.0
_SLEW_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class DitherRule:
    """Every `every_s` seconds (None: never), by up to `amount_px` on each axis."""

    every_s: float | None = None
    amount_px: float = 3.0
    ra_only: bool = False


@dataclass(frozen=True, slots=True)
class GuiderSettings:
    """How to guide; every part is a value of the file that does it."""

    ra_law: Law[Any] = field(default_factory=Hysteresis)
    dec_law: Law[Any] = field(default_factory=ResistSwitch)
    ra_limits: AxisLimits = AxisLimits()
    dec_limits: AxisLimits = AxisLimits()
    calibration: CalibrationRule = CalibrationRule()
    calibration_attempts: int = 3
    dither: DitherRule = DitherRule()
    settle: SettleRule = SettleRule()
    corrections: bool = True
    focal_length_mm: float | None = None  # for the scale, where frames do not state it
    pulses_know_pier: bool = True  # a North pulse moves north on either side of the pier
    after_pulse_s: float = 0.0  # wait before the next exposure


class Guider:
    """Guides one camera with one mount; both connected and configured, both closed by the caller.

    `run` does everything; `pause`, `resume`, `dither` and `stop` may be called from outside while it runs, and take
    effect at the next frame. Cancelling `run` stops every pulse.

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
    """

    def __init__(
        self, camera: Camera, mount: Mount, chain: Pipeline, settings: GuiderSettings, listen: Listener, seed: int = 0
    ) -> None:
        self._camera = camera
        self._mount = WatchedMount(mount, self._notice)
        self._settings = settings
        self._listen = listen
        self._random = np.random.default_rng(seed)
        self._frames = FrameSource(camera, chain, self._notice)
        self._state = State.STOPPED
        self._stop_reason: str | None = None
        self._pause = False
        self._dither_wanted: tuple[float, bool] | None = None
        self._response: MountResponse | None = None

    @property
    def state(self) -> State:
        return self._state

    @property
    def response(self) -> MountResponse | None:
        """What calibration found; None before."""
        return self._response

    def pause(self) -> None:
        """Keep measuring, send no pulses."""
        self._pause = True

    def resume(self) -> None:
        self._pause = False

    def dither(self, amount_px: float, ra_only: bool = False) -> None:
        """Move the lock by a random step of up to `amount_px` on each axis, once guiding.

        Raises
        ------
        ValueError
            If the amount is not finite or negative.
        """
        if not math.isfinite(amount_px) or amount_px < 0:
            raise ValueError(f"dither amount is {amount_px} px; allowed: 0 or more")
        self._dither_wanted = amount_px, ra_only

    def stop(self, reason: str = "stopped") -> None:
        """End `run` after the frame now being taken."""
        self._stop_reason = reason

    async def run(self, duration_s: float | None = None, response: MountResponse | None = None) -> None:
        """Select stars, calibrate, and guide for `duration_s` (None: until stopped).

        Parameters
        ----------
        duration_s : float, optional
            Of guiding; the calibration comes before.
        response : MountResponse, optional
            Known from an earlier calibration; it is converted to the binning, declination and side of the pier of
            now, and nothing is calibrated.

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
            while self._stop_reason is None:
                first = await self._select()
                if first is None:
                    return
                if end_s is None:
                    end_s = math.inf if duration_s is None else self._now() + duration_s
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
            if await self._select() and await self._calibrate():
                self._stop_reason = "calibrated"
        return self._response

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """Whatever happens in here, no pulse is left running and the last state is told."""
        self._stop_reason = None
        try:
            yield
        except asyncio.CancelledError:
            self._stop_reason = "interrupted"
            raise
        except GuidingError as error:
            self._stop_reason = str(error)
            raise
        finally:
            await self._mount.stop()
            self._change(State.STOPPED, self._stop_reason or "ended")

    # ---- selecting and calibrating

    async def _select(self) -> Measurement | None:
        """Take frames until stars can be chosen; None when stopped before."""
        await self._frames.forget()
        self._change(State.LOOPING, "looking for guide stars")
        told = ""
        while self._stop_reason is None:
            found = await self._frames.measure()
            if isinstance(found, Measurement):
                self._listen(Selected(found.t_s, found.stars))
                self._change(State.SELECTED, f"{sum(star.used for star in found.stars)} guide stars chosen")
                return found
            if found != told:
                self._notice(f"no guide stars yet: {found}")
                told = found
        return None

    async def _calibrate(self) -> bool:
        """Measure the mount's response; False when stopped before."""
        for attempt in range(1, self._settings.calibration_attempts + 1):
            mount = await self._mount.state()
            self._change(State.CALIBRATING, f"attempt {attempt}")
            self._listen(CalibrationBegan(self._now(), utc_now()))
            try:
                fit = await calibrate(
                    self._settings.calibration,
                    self._calibration_position,
                    self._calibration_pulse,
                    self._calibration_progress,
                    min(self._mount.info.max_pulse_s, 10.0),
                )
            except CalibrationFailed as error:
                if self._stop_reason is not None:
                    return False
                if attempt == self._settings.calibration_attempts:
                    raise
                self._notice(f"calibration failed, trying again: {error}")
                if await self._select() is None:
                    return False
                continue
            self._calibrated(fit, mount)
            return True
        raise AssertionError("unreachable")

    def _calibrated(self, fit: Fit, mount: MountState) -> None:
        self._response = MountResponse(
            fit.ra, fit.dec, mount.dec_deg, mount.pier_side.value, self._camera.settings.binning
        )
        self._listen(Calibrated(self._now(), self._response, fit.backlash_s))

    async def _calibration_position(self) -> Position | str:
        if self._stop_reason is not None:
            raise CalibrationFailed(self._stop_reason)
        found = await self._frames.measure()
        return found if isinstance(found, str) else Position(found.t_s, found.dx, found.dy)

    async def _calibration_pulse(self, direction: Direction, duration_s: float) -> None:
        await self._mount.pulse(Pulse(direction, duration_s, 0.0, False))
        await self._moved()

    def _calibration_progress(self, number: int, of: int | None, move: Move, position: Position) -> None:
        self._listen(
            CalibrationStep(position.t_s, number, of, move.direction, move.duration_s, position.dx, position.dy)
        )

    # ---- guiding

    async def _guide(self, first: Measurement, end_s: float) -> None:
        """Guide on the stars of `first` until the time is up, somebody stops it, or the telescope points elsewhere."""
        if self._response is None:
            raise NotCalibrated("the mount's response is not known; calibrate first")
        mount = await self._mount.state()
        response = self._response.at_declination(mount.dec_deg)
        response = response.at_pier_side(mount.pier_side.value, self._settings.pulses_know_pier)
        scale = self._scale(first.image)
        executor = self._executor()
        ra, dec = (Axis(law, scale, executor) for law in (self._settings.ra_law, self._settings.dec_law))
        lock = Lock.on(first)
        began_s = self._now()
        self._listen(GuidingBegan(began_s, utc_now(), lock.x, lock.y, lock.hfd, response, scale))
        self._change(State.GUIDING, "on the guide stars" if self._settings.corrections else "corrections are off")
        frame = 0
        settling: SettleState | None = None
        next_dither_s = began_s + (self._settings.dither.every_s or math.inf)
        look_s = began_s + _LOOK_EVERY_S
        distance: float | None = 0.0
        try:
            while self._stop_reason is None:
                if self._now() >= end_s:
                    self._stop_reason = "duration reached"
                    break
                if self._dither_wanted is None and self._now() >= next_dither_s:
                    self.dither(self._settings.dither.amount_px, self._settings.dither.ra_only)
                if self._dither_wanted is not None and settling is None and self._state is State.GUIDING:
                    self._begin_dither(lock, response, ra, dec)
                    settling = SettleState(self._now())
                    next_dither_s = self._now() + (self._settings.dither.every_s or math.inf)
                found = await self._frames.measure()
                if self._now() >= look_s or _suspicious(found, lock, distance):
                    look_s = self._now() + _LOOK_EVERY_S
                    if await self._repointed(mount):
                        break
                frame += 1
                if isinstance(found, str):
                    distance = None
                    await self._lost(found, frame, response, ra, dec)
                else:
                    distance = await self._step(found, frame, lock, response, scale, ra, dec, settling is not None)
                if settling is not None:
                    settling = self._settle(settling, distance, ra, dec)
        finally:
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=True)
            reason = self._stop_reason or "the telescope points elsewhere"
            self._listen(GuidingEnded(self._now(), utc_now(), self._now() - began_s, reason))

    async def _step(
        self, found: Measurement, frame: int, lock: Lock, response: MountResponse, scale: float | None,
        ra: Axis, dec: Axis, settling: bool,
    ) -> float:  # fmt: skip
        """Correct one measured frame; returns the distance from the lock, px."""
        dx, dy = lock.displacement(found)
        ra_px, dec_px = response.to_axes(dx, dy)
        if self._pause:
            self._change(State.PAUSED, "paused")
            pulses = (Pulse(None, 0.0, 0.0, False),) * 2
            wanted = 0.0, 0.0
        else:
            if self._state is State.PAUSED:
                ra.resumed()
                dec.resumed()
            self._change(State.GUIDING, "stars measured")
            ra_err, dec_err = _axis_errors(found, response)
            snr = max((star.snr for star in found.stars if star.used), default=None)
            wanted = (
                ra.measured(found.t_s, ra_px, ra_err, snr, found.exposure_s, self._now()),
                dec.measured(found.t_s, dec_px, dec_err, snr, found.exposure_s, self._now()),
            )
            pulses = await self._correct(wanted, response, ra, dec)
        self._listen(
            Step(
                found.t_s, found.utc, frame, found.exposure_s, dx, dy, found.dx_err, found.dy_err,
                _axis_step(ra_px, wanted[0], pulses[0]), _axis_step(dec_px, wanted[1], pulses[1]),
                found.stars, settling, scale, lock.true_displacement(found.truth, scale),
            )
        )  # fmt: skip
        return math.hypot(dx, dy)

    async def _repointed(self, before: MountState) -> bool:
        """Whether the telescope was pointed elsewhere or changed sides; waits until it has arrived."""
        now = await self._mount.state()
        if not now.slewing and not now.parked and same_pointing(before, now):
            return False
        self._notice("the telescope points elsewhere: new guide stars")
        while (now.slewing or now.parked) and self._stop_reason is None:
            self._change(State.LOOPING, "parked" if now.parked else "slewing")
            await asyncio.sleep(_SLEW_POLL_S)
            now = await self._mount.state()
        return True

    async def _lost(self, reason: str, frame: int, response: MountResponse, ra: Axis, dec: Axis) -> None:
        now = self._now()
        self._listen(Dropped(now, frame, reason))
        if self._pause:
            return
        self._change(State.LOST_LOCK, reason)
        exposure_s = self._frames.settings.exposure_s
        await self._correct((ra.lost(now, exposure_s), dec.lost(now, exposure_s)), response, ra, dec)

    async def _correct(
        self, wanted: tuple[float, float], response: MountResponse, ra: Axis, dec: Axis
    ) -> tuple[Pulse, Pulse]:
        """Send what the laws want, as far as limits and the mount allow, and tell the laws what that was."""
        none = Pulse(None, 0.0, 0.0, False)
        pulses = none, none
        if self._settings.corrections:
            info = self._mount.info
            limits = self._settings.ra_limits, self._settings.dec_limits
            pulses = plan_pulses(*wanted, response, *limits, info.min_pulse_s)
            if any(pulse.direction for pulse in pulses):
                if not await self._mount.try_pulse(*pulses):
                    pulses = none, none
                await self._moved()
        for axis, want, pulse in zip((ra, dec), wanted, pulses, strict=True):
            if pulse.sent_px != want:
                axis.sent(pulse.sent_px)
        return pulses

    def _begin_dither(self, lock: Lock, response: MountResponse, ra: Axis, dec: Axis) -> None:
        assert self._dither_wanted is not None
        ra_px, dec_px = random_dither(self._random, *self._dither_wanted)
        self._dither_wanted = None
        lock.move(ra_px, dec_px, response)
        ra.dithered(ra_px)
        dec.dithered(dec_px)
        self._listen(DitherBegan(self._now(), ra_px, dec_px, lock.x + lock.dx, lock.y + lock.dy))
        self._listen(Settling(self._now(), None))

    def _settle(self, settling: SettleState, distance: float | None, ra: Axis, dec: Axis) -> SettleState | None:
        settling, outcome = settle_step(self._settings.settle, settling, self._now(), distance)
        if outcome is Outcome.SETTLING:
            return settling
        ra.settled()
        dec.settled()
        done = outcome is Outcome.SETTLED
        self._listen(Settling(self._now(), done, "" if done else outcome.value))
        return None

    # ---- the mount, the clock, the listener

    async def _moved(self) -> None:
        if self._settings.after_pulse_s > 0:
            await asyncio.sleep(self._settings.after_pulse_s)
        self._frames.moved()

    def _scale(self, image: Image) -> float | None:
        facts = image.facts
        if facts.wcs is not None:
            return cd_scale_arcsec(facts.wcs.cd)
        focal_length_mm = self._settings.focal_length_mm or facts.focal_length_mm
        if facts.x_pixel_size_um and focal_length_mm:
            return pixel_scale_arcsec(facts.x_pixel_size_um, focal_length_mm)
        return None

    @staticmethod
    def _executor() -> Executor | None:
        """For the laws' long work; none under virtual time, where everything is to be the same every time."""
        if isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
            return None
        return ThreadPoolExecutor(1, "starlatch-law")

    def _change(self, state: State, reason: str) -> None:
        if state is not self._state:
            self._state = state
            self._listen(StateChanged(self._now(), state, reason))

    def _notice(self, text: str) -> None:
        self._listen(Notice(self._now(), text))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _suspicious(found: Measurement | str, lock: Lock, before_px: float | None) -> bool:
    """Whether the telescope may have been moved: the stars are gone, or have jumped."""
    if isinstance(found, str) or before_px is None:
        return True
    return math.hypot(*lock.displacement(found)) > before_px + _JUMP_PX


def _axis_errors(found: Measurement, response: MountResponse) -> tuple[float | None, float | None]:
    """Standard errors along the mount's axes, for errors that are independent in x and y."""
    if found.dx_err is None or found.dy_err is None:
        return None, None
    ra_x, dec_x = response.to_axes(found.dx_err, 0.0)
    ra_y, dec_y = response.to_axes(0.0, found.dy_err)
    return math.hypot(ra_x, ra_y), math.hypot(dec_x, dec_y)


def _axis_step(displacement_px: float, correction_px: float, pulse: Pulse) -> AxisStep:
    return AxisStep(displacement_px, correction_px, pulse.direction, pulse.duration_s, pulse.limited)
