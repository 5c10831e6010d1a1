"""One stretch of guiding: the same stars, from the lock to the end.

In: measured frames. Out: pulses to the mount, and events.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from acquisition.geometry import MountResponse, cd_scale_arcsec, pixel_scale_arcsec
from acquisition.guiding.algorithms.worm import Worm
from acquisition.guiding.announcer import Announcer
from acquisition.guiding.apply import NO_PULSE, Pulse
from acquisition.guiding.axis import Axis, scale_by_guide_rate
from acquisition.guiding.dither import Dithers, within_frame
from acquisition.guiding.events import (
    AxisStep,
    DitherBegan,
    Dropped,
    GuidingBegan,
    GuidingEnded,
    LawChanged,
    Settling,
    State,
    Step,
    WormLearned,
)
from acquisition.guiding.lock import Lock
from acquisition.guiding.measure import FrameSource, Measurement
from acquisition.guiding.orders import Orders
from acquisition.guiding.overlap import RecentPulses
from acquisition.guiding.pulses import Pulses
from acquisition.guiding.settings import GuiderSettings
from acquisition.guiding.settle import Outcome, SettleState, settle_step
from acquisition.guiding.vigilance import Vigilance
from acquisition.guiding.watched_mount import WatchedMount, same_pointing
from acquisition.images import Image
from acquisition.mount import Direction, MountState
from acquisition.virtual_time import VirtualTimeLoop, utc_now

_LEARN_EVERY_S = 600.0  # between notes of what the RA law has learned
_LOOK_EVERY_S = 10.0  # at what the mount says of itself
_JUMP_PX = 5.0
_TURNED_DEG = 0.5  # by a rotator: other guide stars
_OVERLAPPED_EVERY_S = 0.5  # corrections while a frame is exposed
_SLEW_POLL_S = 1.0


class Stretch:
    """Guides on the stars of one choice until the time is up, somebody stops it, or the telescope points elsewhere.

    Parameters
    ----------
    frames : FrameSource
    mount : WatchedMount
    settings : GuiderSettings
    orders : Orders
    announcer : Announcer
    random : numpy.random.Generator
        Of the dithers.
    response : MountResponse
        For the declination and the side of the pier of now.
    pointing : MountState
        What the mount says at the beginning.
    first : Measurement
        Sets the lock.
    worm : Worm or None
        What was learned of it before.
    """

    def __init__(
        self, frames: FrameSource, mount: WatchedMount, settings: GuiderSettings, orders: Orders, announcer: Announcer,
        random: np.random.Generator, response: MountResponse, pointing: MountState, first: Measurement,
        worm: Worm | None,
    ) -> None:  # fmt: skip
        self._frames = frames
        self._mount = mount
        self._settings = settings
        self._orders = orders
        self._announcer = announcer
        self._dithers = Dithers(settings.dither.pattern, random)
        self._response = response
        self._pointing = pointing
        self._rotator_deg = frames.rotator_deg
        self._moved_on: str | None = None  # why these guide stars do not serve any more
        self._scale = _scale_arcsec(first.image, settings.focal_length_mm)
        self._executor = ThreadPoolExecutor(1, "starlatch-law")  # for the laws' long work
        waits = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)  # so that everything is the same every time
        self._law_scale = self._scale or scale_by_guide_rate(response, pointing)
        self._cos_dec = 1.0 if pointing.dec_deg is None else max(0.1, math.cos(math.radians(pointing.dec_deg)))
        self._worm = worm
        self._ra = Axis(settings.ra_law, self._law_scale, self._executor, waits, self._worm_here())
        self._dec = Axis(settings.dec_law, self._law_scale, self._executor, waits)
        self._lock = Lock.on(first)
        self._pulses = Pulses(mount, response, settings.ra_limits, settings.dec_limits, announcer)
        self._vigilance = Vigilance(announcer)
        self._recent = RecentPulses()
        self._between_s = 0.0  # of pulse on RA since the last frame, positive: West
        self._corrected_s = _now()  # when the last correction began
        self._guides = settings.corrections and "off" not in (settings.ra_limits.mode, settings.dec_limits.mode)
        self._wobble_px = 0.0  # how far RA is off on purpose
        self._exposure_s = frames.settings.exposure_s
        self._bridged: bool | None = None  # whether the laws guide by what they expect; None: stars are measured
        self._seen_s = _now()
        self._settling: SettleState | None = None
        self._frame = 0

    @property
    def worm(self) -> Worm | None:
        """What is known of the worm by now, as at declination 0."""
        return self._worm

    async def run(self, end_s: float) -> None:
        """Guide; `orders.stop` says why it ended, None when other guide stars must be chosen."""
        lock, settings = self._lock, self._settings
        began_s = _now()
        self._announcer.tell(GuidingBegan(began_s, utc_now(), lock.x, lock.y, lock.hfd, self._response, self._scale))
        if self._scale is None and "arcsec" in (settings.ra_law.unit, settings.dec_law.unit):
            self._announcer.notice(
                f'pixel scale not known; by the guide rate, laws take it to be {self._law_scale:.1f}"/px: '
                "set focal_length_mm in [telescope]"
            )
        self._announcer.change(State.GUIDING, "on the guide stars" if settings.corrections else "corrections are off")
        every_s = settings.dither.every_s or math.inf
        next_dither_s, look_s = began_s + every_s, began_s + _LOOK_EVERY_S
        learn_s = began_s + _LEARN_EVERY_S
        distance: float | None = 0.0
        try:
            while self._orders.stop is None:
                if _now() >= end_s:
                    self._orders.stop = "duration reached"
                    break
                self._change_laws()
                if _now() >= learn_s:
                    learn_s = _now() + _LEARN_EVERY_S
                    self._learn()
                if _now() >= next_dither_s:
                    next_dither_s = _now() + every_s
                    self._orders.dither = settings.dither.amount_px, settings.dither.ra_only
                found = await self._next_frame()
                if _now() >= look_s or _suspicious(found, lock, distance):
                    look_s = _now() + _LOOK_EVERY_S
                    if await self._has_moved_on():
                        break
                self._frame += 1
                settling = self._settling
                distance = await (self._lost(found) if isinstance(found, str) else self._step(found))
                if settling is not None:
                    self._settle(settling, distance)
        finally:
            self._learn()
            self._executor.shutdown(wait=False, cancel_futures=True)
            reason = self._orders.stop or self._moved_on or "interrupted"
            self._announcer.tell(GuidingEnded(_now(), utc_now(), _now() - began_s, reason))

    async def _next_frame(self) -> Measurement | str:
        """Measure the next frame; in overlapped mode the laws correct by what they expect until it is there."""
        if self._settings.overlapped:
            while not await self._frames.arrives(max(0.0, self._corrected_s + _OVERLAPPED_EVERY_S - _now())):
                self._corrected_s = _now()
                if not self._orders.pause:
                    ra, _ = await self._send((self._ra.between(_now(), _now() + _OVERLAPPED_EVERY_S), 0.0))
                    self._ra.sent(ra.sent_px)
                    self._between_s += ra.signed_s
        return await self._frames.measure(self._next_exposure_s())

    def _until_s(self) -> float | None:
        """When the next correction begins; None: after another frame."""
        short = self._frames.settings.exposure_s <= _OVERLAPPED_EVERY_S
        return None if short or not self._settings.overlapped else _now() + _OVERLAPPED_EVERY_S

    def _change_laws(self) -> None:
        orders = self._orders
        if orders.ra_law is not None:
            self._learn()
            self._ra.change(orders.ra_law, self._worm_here())
            self._announcer.tell(LawChanged(_now(), "RA", orders.ra_law))
        if orders.dec_law is not None:
            self._dec.change(orders.dec_law)
            self._announcer.tell(LawChanged(_now(), "Dec", orders.dec_law))
        orders.ra_law = orders.dec_law = None

    def _worm_here(self) -> Worm | None:
        return None if self._worm is None else self._worm.scaled(self._cos_dec)

    def _learn(self) -> None:
        """Keep what the RA law knows of the worm."""
        if (worm := self._ra.worm) is not None:
            self._worm = worm.scaled(1 / self._cos_dec)
            self._announcer.tell(WormLearned(_now(), self._worm))

    async def _step(self, found: Measurement) -> float:
        """Correct one measured frame; returns the distance from the lock, px."""
        lock = self._lock
        dx, dy = lock.displacement(found)
        ra_px, dec_px = self._response.to_axes(dx, dy)
        settling, true = self._settling is not None, lock.true_displacement(found.truth, self._scale, self._response)
        self._seen_s, self._bridged = found.t_s, None
        guided = self._guides and not self._orders.pause
        unseen = self._recent.unseen(found.t_s - found.exposure_s / 2, found.t_s + found.exposure_s / 2)
        now_px = ra_px - unseen[0], dec_px - unseen[1]  # as if the exposure had followed all pulses
        self._vigilance.measured(found.t_s, (now_px[0] + lock.ra_px, now_px[1] + lock.dec_px), now_px, guided)
        wanted, pulses, dither = (0.0, 0.0), (NO_PULSE, NO_PULSE), None
        if self._orders.pause:
            self._announcer.change(State.PAUSED, "paused")
        else:
            wanted = self._ask(found, ra_px - self._wobble_px, dec_px, unseen)
            dither = self._begin_dither(found.image)
            pulses = await self._correct(wanted, dither)
        self._announcer.tell(
            Step(
                found.t_s, found.utc, self._frame, found.exposure_s, dx, dy, found.dx_err, found.dy_err,
                _axis_step(ra_px, wanted[0], pulses[0], self._ra, Direction.WEST, self._between_s),
                _axis_step(dec_px, wanted[1], pulses[1], self._dec, Direction.SOUTH),
                found.stars, settling, self._scale, true,
            )
        )  # fmt: skip
        self._between_s = 0.0
        if dither is not None:
            self._announcer.tell(dither)
            self._announcer.tell(Settling(_now(), None))
        return math.hypot(dx, dy)

    def _ask(
        self, found: Measurement, ra_px: float, dec_px: float, unseen_px: tuple[float, float]
    ) -> tuple[float, float]:
        """What the laws want."""
        ra, dec = self._ra, self._dec
        if self._announcer.state is State.PAUSED:
            ra.resumed()
            dec.resumed()
            self._vigilance.resumed()
        self._announcer.change(State.GUIDING, "stars measured")
        ra_err, dec_err = _axis_errors(found, self._response)
        snr = max((star.snr for star in found.stars if star.used), default=None)
        wanted = (
            ra.measured(found.t_s, ra_px, ra_err, snr, found.exposure_s, _now(), self._until_s(), unseen_px[0]),
            dec.measured(found.t_s, dec_px, dec_err, snr, found.exposure_s, _now(), None, unseen_px[1]),
        )
        self._vigilance.heard(ra.deaf, dec.deaf)
        return wanted

    async def _lost(self, reason: str) -> None:
        """A frame without a measurement: the laws may go on by what they expect."""
        now, limit_s = _now(), self._settings.lost_limit_s
        self._vigilance.lost()
        if limit_s is not None and now - self._seen_s > limit_s:
            self._orders.stop = f"no star for {now - self._seen_s:.0f} s, {limit_s:g} s are allowed: {reason}"
        if self._orders.pause:
            self._announcer.tell(Dropped(now, self._frame, reason))
            return
        exposure_s = self._frames.settings.exposure_s
        wanted = self._ra.lost(now, exposure_s, self._until_s()), self._dec.lost(now, exposure_s)
        bridged = any(wanted) and self._settings.corrections
        if bridged is not self._bridged:
            self._bridged = bridged
            how = "guided by prediction" if bridged else "no corrections until a star is back"
            self._announcer.change(State.LOST_LOCK, f"{reason}; {how}", anew=True)
        ra, dec = await self._correct(wanted)
        self._announcer.tell(Dropped(now, self._frame, reason, ra.signed_s + self._between_s, dec.signed_s))
        self._between_s = 0.0

    async def _correct(self, wanted: tuple[float, float], dither: DitherBegan | None = None) -> tuple[Pulse, Pulse]:
        """Send what the laws want, as far as limits and the mount allow, and tell the laws what that was.

        With it goes what brings the star to where a dither has put the lock, and RA to where the watch over the
        calibration's angle wants it, of which the law need not know.
        """
        self._corrected_s = _now()
        wobble_px = self._vigilance.wobble_px if self._settling is None else 0.0
        aside_px = self._wobble_px - wobble_px
        ra_px, dec_px = 0.0, 0.0
        if dither is not None and self._settings.dither.recentre:
            ra_px, dec_px = -dither.ra_px, -dither.dec_px
        ra, dec = await self._send((wanted[0] + ra_px + aside_px, wanted[1] + dec_px))
        if ra.direction is None:
            aside_px = 0.0
        self._wobble_px -= aside_px
        self._ra.sent(ra.sent_px - aside_px)
        self._dec.sent(dec.sent_px)
        return ra, dec

    async def _send(self, wanted: tuple[float, float]) -> tuple[Pulse, Pulse]:
        if not self._settings.corrections:
            return NO_PULSE, NO_PULSE
        ra_held, dec_held = self._vigilance.held
        allowed = 0.0 if ra_held else wanted[0], 0.0 if dec_held else wanted[1]
        pulses = await self._pulses.send(allowed, both_ways=self._settling is not None)
        self._vigilance.sent(pulses[0].sent_px, pulses[1].sent_px)
        self._frames.corrected(*self._response.to_pixels(pulses[0].sent_px, pulses[1].sent_px))
        if self._settings.overlapped:
            self._recent.ended(_now(), *pulses, self._mount.info.parallel_pulses)
        elif self._mount.down or any(pulse.direction for pulse in pulses):
            await self._frames.moved(self._settings.after_pulse_s)
        return pulses

    def _next_exposure_s(self) -> float | None:
        settling_s = self._settings.settle.exposure_s if self._settling is not None else None
        if self._settings.exposure is not None:
            return settling_s  # None: as the law has it
        return self._exposure_s if settling_s is None else min(settling_s, self._exposure_s)

    async def _has_moved_on(self) -> bool:
        """Whether telescope or camera were turned, so that other stars must be chosen; waits until it is over.

        Otherwise the response follows the field, where the mount turns it.
        """
        now = await self._mount.state()
        turned_deg, rotator_deg = 0.0, self._frames.rotator_deg
        if rotator_deg is not None and self._rotator_deg is not None:
            turned_deg = math.remainder(rotator_deg - self._rotator_deg, 360)
        if now.slewing or now.parked or not same_pointing(self._pointing, now):
            self._moved_on = "the telescope points elsewhere"
        elif abs(turned_deg) > _TURNED_DEG:
            self._moved_on = f"a rotator turned the camera by {turned_deg:.1f} degrees"
        else:
            self._response = self._response.at_field_angle(now.field_angle_deg)
            return False
        self._announcer.notice(f"{self._moved_on}: new guide stars")
        while (now.slewing or now.parked) and self._orders.stop is None:
            self._announcer.change(State.LOOPING, "parked" if now.parked else "slewing")
            await asyncio.sleep(_SLEW_POLL_S)
            now = await self._mount.state()
        return True

    def _begin_dither(self, image: Image) -> DitherBegan | None:
        """Move the lock, if somebody wants it and nothing stands against it."""
        if self._orders.dither is None or self._settling is not None:
            return None
        amount_px, ra_only = self._orders.dither
        self._orders.dither = None
        lock = self._lock
        step = self._dithers.next(amount_px, ra_only or self._settings.dec_limits.mode == "off")
        ra_px, dec_px = within_frame(step, lambda ra, dec: lock.room(ra, dec, self._response, image.data.shape))
        lock.move(ra_px, dec_px, self._response)
        self._ra.dithered(ra_px)
        self._dec.dithered(dec_px)
        self._settling = SettleState(_now())
        return DitherBegan(_now(), ra_px, dec_px, lock.x + lock.dx, lock.y + lock.dy)

    def _settle(self, settling: SettleState, distance: float | None) -> None:
        self._settling, outcome = settle_step(self._settings.settle, settling, _now(), distance)
        if outcome is Outcome.SETTLING:
            return
        self._settling = None
        self._ra.settled()
        self._dec.settled()
        done = outcome is Outcome.SETTLED
        self._announcer.tell(Settling(_now(), done, "" if done else outcome.value))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _scale_arcsec(image: Image, focal_length_mm: float | None) -> float | None:
    facts = image.facts
    if facts.wcs is not None:
        return cd_scale_arcsec(facts.wcs.cd)
    focal_length_mm = focal_length_mm or facts.focal_length_mm
    if facts.x_pixel_size_um and focal_length_mm:
        return pixel_scale_arcsec(facts.x_pixel_size_um, focal_length_mm)
    return None


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


def _axis_step(
    displacement_px: float, correction_px: float, pulse: Pulse, axis: Axis, positive: Direction, before_s: float = 0.0
) -> AxisStep:
    """What is told of an axis; `before_s` of pulse went out between the frame before and this one."""
    net_s = round(pulse.signed_s + before_s, 3)
    direction = None if net_s == 0 else positive if net_s > 0 else positive.opposite
    return AxisStep(displacement_px, correction_px, direction, abs(net_s), pulse.limited, axis.expected_rms_px)
