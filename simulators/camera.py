"""``sim://``: a camera that looks at the simulated world, on the event loop.

In: `CameraSettings`. Out: `Image` objects with complete facts, and the truth about recent ones.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

from acquisition.camera import (
    Accepted,
    Camera,
    CameraInfo,
    CameraSettings,
    CameraStatus,
    FrameTruth,
    check_settings,
)
from acquisition.devices import DeviceContext, DeviceUrl, Driver, Listing
from acquisition.errors import DeviceBusy, DeviceError, DeviceGone, DeviceTimeout, ExposureFailed
from acquisition.images import FrameFacts, Image
from acquisition.virtual_time import utc_now

from . import sensor as chip
from .frame import render, warm_up, whole, window
from .pointing import airmass
from .shared_world import WORLD_OPTIONS, shared_world, whole_number
from .signal import Signal
from .streams import Subject, generator, key, key_of
from .world import Field, World

log = logging.getLogger(__name__)

GRACE_S = 5.0
"""How much longer than exposure and readout a frame may take."""
KEPT_TRUTHS = 256
SMALL_PX = 1_500_000
"""Frames that are drawn, in a few ms, sooner than two threads pass the interpreter to each other and back."""


class SimulatedCamera:
    """A monochrome CMOS camera in a simulated world.

    Parameters
    ----------
    world : World
    hang_after : int
        The exposure of this number never completes (0: none does so).
    """

    def __init__(self, world: World, hang_after: int = 0) -> None:
        self.world = world
        self._hang_after = hang_after
        self._number = world.n_cameras
        self._id = f"sim-{world.seed}-{self._number}"
        world.n_cameras += 1
        self._noise_key = key(world.seed, Subject.NOISE, self._number)
        self._spec = world.setup.sensor
        self._users = 0  # connects without their close
        self._closed = Signal()
        self._taken = False  # by an exposure or a stream
        self._begun = 0  # exposures
        self._delivered = 0
        self._dropped = 0
        self._connected_s = 0.0  # in the world's time
        self._last: tuple[chip.Pixels, Field] | None = None
        self._truths: OrderedDict[int, FrameTruth] = OrderedDict()
        self._settings = CameraSettings(
            gain=self._spec.default_gain,
            offset=self._spec.default_offset,
            cooler_on=False if self._spec.cooling_below_ambient_c else None,
        )
        self._settings_facts = self._settings, self._facts_of(self._settings)
        self._temp_c = self._spec.ambient_temp_c
        self._temp_at_s = 0.0

    @property
    def info(self) -> CameraInfo:
        self._check_connected()
        spec = self._spec
        return CameraInfo(
            name=spec.name,
            camera_id=self._id,
            width_px=spec.width_px,
            height_px=spec.height_px,
            pixel_size_um=spec.pixel_size_um,
            bit_depth=spec.adc_bits,
            detector=spec.detector,
            bayer_pattern=spec.bayer_pattern or None,
            binnings=spec.binnings,
            bits=(8, 16),
            exposure_range_s=spec.exposure_range_s,
            gain_range=spec.gain_range,
            offset_range=spec.offset_range,
            has_guide_port=spec.guide_port,
            has_cooler=spec.cooling_below_ambient_c > 0,
        )

    @property
    def settings(self) -> CameraSettings:
        self._check_connected()
        return self._settings

    async def connect(self) -> None:
        if self._users == 0:
            # the very first use compiles for seconds, which must not count against an exposure's deadline
            await asyncio.to_thread(warm_up, self.world)
            now_s = self.world.now_s()
            if self.world.faults.active("unplug", now_s) is not None:
                raise DeviceGone(f"{self._spec.name} is not plugged in")
            self._connected_s = now_s
            self._relax_temperature()
        self._users += 1

    async def close(self) -> None:
        self._users = max(0, self._users - 1)
        if self._users == 0:
            self._closed.give()

    async def configure(self, settings: CameraSettings) -> Accepted:
        """Round and clamp as hardware does, and put the result in force before the next exposure."""
        self._check_free()
        check_settings(settings, self.info)
        self._relax_temperature()
        accepted = self._rounded(settings)
        self._settings = accepted
        return Accepted.compare(settings, accepted)

    async def expose(self) -> Image:
        """One frame; `DeviceTimeout` when it does not come, `ExposureFailed` when it is lost on the way."""
        with self._claimed():
            return await self._frame()

    async def stream(self) -> AsyncGenerator[Image, None]:
        """Frames one after the other, each begun when it is asked for; what is lost on the way is counted."""
        with self._claimed():
            while True:
                with suppress(ExposureFailed):
                    yield await self._frame()

    async def status(self) -> CameraStatus:
        self._check_connected()
        self._relax_temperature()
        return CameraStatus(
            ccd_temp_c=round(self._temp_c, 1),
            cooler_power_percent=self._cooler_power_percent(),
            n_dropped=self._dropped,
        )

    def truth(self, image: Image) -> FrameTruth | None:
        """The true displacement of one of this camera's recent frames; None for any other."""
        facts = image.facts
        if facts.camera_id != self._id or facts.frame_seq is None:
            return None
        return self._truths.get(facts.frame_seq)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        self._check_free()
        self._taken = True
        try:
            yield
        finally:
            self._taken = False

    async def _frame(self) -> Image:
        settings = self._settings
        self._relax_temperature()
        self._begun += 1
        number, world = self._begun, self.world
        start = _Start(utc_now(), world.now_s(), asyncio.get_running_loop().time(), self._temp_c)
        tail_s = self._spec.line_time_s * self._spec.height_px  # until the last row has been exposed
        if number == self._hang_after or world.faults.active("hang", start.world_s) is not None:
            await self._wait(settings.exposure_s + self._spec.readout_s + GRACE_S)
            raise self._timeout(settings)
        await self._wait(settings.exposure_s + tail_s)
        field = world.field(start.world_s, start.world_s + settings.exposure_s, window(self._spec, settings))
        read_s = world.now_s() + max(self._spec.readout_s - tail_s, 0.0)
        pixels = await self._render(settings, field, round(start.temp_c, 1), number)
        await self._wait(max(read_s - world.now_s(), 0.0))
        late = world.faults.active("late", start.world_s)
        if late is not None:
            await self._wait(min(late.size, GRACE_S))
            if late.size >= GRACE_S:
                raise self._timeout(settings)
        if self._is_lost(number, start.world_s):
            self._dropped += 1
            raise ExposureFailed(f"{self._spec.name}: frame {number} was lost on the way ({self._dropped} so far)")
        again = world.faults.active("duplicate", start.world_s) is not None and self._last is not None
        if again and self._last is not None and self._last[0].shape == pixels.shape:
            pixels, field = self._last[0].copy(), self._last[1]
        self._last = pixels, field
        self._delivered += 1
        roi = whole(self._spec, settings)
        truth = world.truth(field, settings.binning, roi.x, roi.y)
        self._remember(self._delivered, truth)
        return Image.from_camera(pixels, self._facts(settings, field, start, truth))

    async def _render(self, settings: CameraSettings, field: Field, temp_c: float, number: int) -> chip.Pixels:
        asked = self.world, settings, field, temp_c, key_of(self._noise_key, number)
        part = window(self._spec, settings)
        small = part.width * part.height <= SMALL_PX
        return render(*asked) if small else await asyncio.to_thread(render, *asked)

    def _timeout(self, settings: CameraSettings) -> DeviceTimeout:
        allowed_s = settings.exposure_s + self._spec.readout_s + GRACE_S
        return DeviceTimeout(
            f"{self._spec.name}: no frame {allowed_s:g} s after the start of a {settings.exposure_s:g} s exposure"
        )

    def _is_lost(self, number: int, start_s: float) -> bool:
        if self.world.faults.active("drop", start_s) is not None:
            return True
        share = self._spec.drop_share
        return share > 0 and generator(self.world.seed, Subject.DROPS, self._number, number).random() < share

    async def _wait(self, duration_s: float) -> None:
        """Wait for the simulated hardware, but not beyond `close` or the pulling of the plug."""
        now_s = self.world.now_s()
        unplugged_s = self.world.faults.next_s("unplug", now_s) - now_s
        if self._users == 0 or await self._closed.wait(min(duration_s, unplugged_s)):
            raise DeviceGone(f"{self._spec.name} was closed during an exposure")
        self._check_connected()

    def _remember(self, frame_seq: int, truth: FrameTruth) -> None:
        self._truths[frame_seq] = truth
        while len(self._truths) > KEPT_TRUTHS:
            self._truths.popitem(last=False)

    def _facts(self, settings: CameraSettings, field: Field, start: _Start, truth: FrameTruth) -> FrameFacts:
        if self._settings_facts[0] is not settings:
            self._settings_facts = settings, self._facts_of(settings)
        world, ra_deg = self.world, field.ra_deg % 360.0
        tel_ra_deg, tel_dec_deg = world.mechanics.said_deg(start.world_s)
        hour_angle = world.hour_angle_deg(start.world_s, ra_deg)
        return FrameFacts(
            **self._settings_facts[1],
            start_utc=start.utc,
            start_loop_s=start.loop_s,
            ccd_temp_c=round(start.temp_c, 1),
            cooler_power_percent=self._cooler_power_percent(),
            frame_seq=self._delivered,
            n_dropped=self._dropped,
            rotator_deg=world.setup.optics.rotation_deg,
            ra_deg=ra_deg,
            dec_deg=field.dec_deg,
            tel_ra_deg=tel_ra_deg,
            tel_dec_deg=tel_dec_deg,
            airmass=airmass(hour_angle, field.dec_deg, world.setup.site.lat_deg),
            wcs=truth.wcs,
        )

    def _facts_of(self, settings: CameraSettings) -> dict[str, Any]:
        """What is the same of all frames with these settings; a rotator may turn between two."""
        spec, setup = self._spec, self.world.setup
        binning, roi, gain = settings.binning, whole(self._spec, settings), settings.gain or 0.0
        bayer = chip.bayer_pattern(spec, roi.x, roi.y) if binning == 1 else None
        return {
            "exposure_s": settings.exposure_s,
            "start_uncertainty_s": 0.0,
            "instrument": spec.name,
            "camera_id": self._id,
            "detector": spec.detector,
            "x_binning": binning,
            "y_binning": binning,
            "x_pixel_size_um": spec.pixel_size_um * binning,
            "y_pixel_size_um": spec.pixel_size_um * binning,
            "x_origin_px": roi.x,
            "y_origin_px": roi.y,
            "gain": gain,
            "offset": settings.offset,
            "line_time_s": spec.line_time_s or None,
            "egain_e_per_adu": chip.egain_e_per_adu(spec, gain, binning, settings.bits),
            "read_noise_e": chip.read_noise_e(spec, gain) * binning,
            "full_well_e": spec.full_well_e * binning**2,
            "bit_depth": spec.adc_bits,
            "data_max_adu": chip.data_max_adu(spec, settings.bits),
            "set_temp_c": settings.target_temp_c,
            "bayer_pattern": bayer,
            "x_bayer_offset": None if bayer is None else 0,
            "y_bayer_offset": None if bayer is None else 0,
            "row_order": "BOTTOM-UP",
            "readout_mode": f"RAW{settings.bits}",
            "image_type": "object",
            "object_name": "simulated sky",
            "telescope": setup.optics.name,
            "focal_length_mm": setup.optics.focal_length_mm,
            "aperture_mm": setup.optics.aperture_mm,
            "site_lat_deg": setup.site.lat_deg,
            "site_lon_deg": setup.site.lon_deg,
            "site_elev_m": setup.site.elev_m,
            "software": SOFTWARE,
        }

    def _rounded(self, settings: CameraSettings) -> CameraSettings:
        spec = self._spec
        shortest = spec.exposure_range_s[0]
        cooled = spec.cooling_below_ambient_c > 0
        coldest = spec.ambient_temp_c - spec.cooling_below_ambient_c
        target, cooler_on = settings.target_temp_c, settings.cooler_on
        return replace(
            settings,
            exposure_s=max(settings.exposure_s, shortest),
            gain=_setting(settings.gain, spec.gain_range, self._settings.gain),
            offset=_setting(settings.offset, spec.offset_range, self._settings.offset),
            target_temp_c=_setting(target, (coldest, 30.0), self._settings.target_temp_c) if cooled else None,
            cooler_on=(self._settings.cooler_on if cooler_on is None else cooler_on) if cooled else None,
        )

    def _relax_temperature(self) -> None:
        """Let the sensor's temperature approach its goal until now, exponentially."""
        now_s = self.world.now_s()
        share = math.exp(-(now_s - self._temp_at_s) / self._spec.cooler_time_constant_s)
        goal = self._goal_temp_c()
        self._temp_c = goal + (self._temp_c - goal) * share
        self._temp_at_s = now_s

    def _goal_temp_c(self) -> float:
        target = self._settings.target_temp_c
        ambient = self._spec.ambient_temp_c
        return min(target, ambient) if self._settings.cooler_on and target is not None else ambient

    def _cooler_power_percent(self) -> float | None:
        if self._settings.cooler_on is None:
            return None
        return round(100 * (self._spec.ambient_temp_c - self._goal_temp_c()) / self._spec.cooling_below_ambient_c, 1)

    def _check_free(self) -> None:
        self._check_connected()
        if self._taken:
            raise DeviceBusy(f"{self._spec.name} is exposing; wait for the frame or cancel it")

    def _check_connected(self) -> None:
        if self._users == 0:
            raise DeviceError(f"{self._spec.name} is not connected; use it as: async with open_camera(...) as camera")
        if self.world.faults.last_begin_s("unplug", self.world.now_s()) > self._connected_s:
            raise DeviceGone(f"{self._spec.name} was unplugged; close it and connect again")


@dataclass(frozen=True, slots=True)
class _Start:
    """When an exposure began, on three clocks, and how warm the sensor was."""

    utc: datetime
    world_s: float
    loop_s: float
    temp_c: float


def _setting(asked: float | None, limits: tuple[float, float], now: float | None) -> float | None:
    """What hardware that takes whole numbers makes of a setting; None leaves it as it is."""
    return now if asked is None else float(round(min(max(asked, limits[0]), limits[1])))


SOFTWARE = f"starlatch {version('starlatch')}"


def _open(url: DeviceUrl, context: DeviceContext) -> Camera:
    url.check_options(*WORLD_OPTIONS, "hang_after")
    return SimulatedCamera(shared_world(url, context), whole_number(url, "hang_after") or 0)


def _discover() -> Sequence[Listing]:
    return [Listing("sim://", "simulated guide camera, 1280x960 px, 60 mm f/4 telescope")]


DRIVER: Driver[Camera] = Driver(
    summary="a simulated guide camera under a simulated sky (?scenario= ?seed= ?disturbance= ?world= ?hang_after=)",
    example="sim://?seed=1",
    open=_open,
    discover=_discover,
)
