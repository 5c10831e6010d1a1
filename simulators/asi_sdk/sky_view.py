"""What an emulated camera sees of the simulated world, and how its guide port moves the world's mount.

In: the frames and pins that the fake library asks about, in the driver's thread. Out: pixels, and truth for the loop.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

import numpy as np

from acquisition.camera import CameraSettings, FrameTruth, Roi
from acquisition.images import FrameFacts, Image
from acquisition.mount import Direction
from simulators.frame import render, warm_up
from simulators.streams import Subject, key, key_of
from simulators.world import Field, World

from .fake import SceneFrame

PINS = (Direction.NORTH, Direction.SOUTH, Direction.EAST, Direction.WEST)
LOOP_ANSWERS_S = 5.0
KEPT_TRUTHS = 256


class SkyView:
    """What the camera sees of a simulated world, rendered when the driver reads a frame.

    The driver's thread asks; everything that the event loop also touches is asked for there.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._noise_key = key(world.seed, Subject.NOISE, world.n_cameras)
        world.n_cameras += 1
        self._began_s = self._loop.time() - world.now_s()  # of the world, on the monotonic clock: the library's, too
        self._truths: deque[tuple[float, FrameTruth]] = deque(maxlen=KEPT_TRUTHS)
        warm_up(world)

    @property
    def facts(self) -> FrameFacts:
        """The telescope that the camera is mounted on, and its site."""
        telescope, site = self._world.setup.optics, self._world.setup.site
        return FrameFacts(
            telescope=telescope.name,
            focal_length_mm=telescope.focal_length_mm,
            aperture_mm=telescope.aperture_mm,
            rotator_deg=telescope.rotation_deg,
            site_lat_deg=site.lat_deg,
            site_lon_deg=site.lon_deg,
            site_elev_m=site.elev_m,
        )

    def render(self, asked: SceneFrame) -> bool:
        """In the driver's thread: fill the pixels; False when the loop does not answer."""
        start_s = asked.start_monotonic_s - self._began_s
        answer: Future[Field] = Future()
        try:
            self._loop.call_soon_threadsafe(
                lambda: answer.set_result(self._world.field(start_s, start_s + asked.exposure_s))
            )
            field = answer.result(LOOP_ANSWERS_S)
        except (RuntimeError, FutureTimeout):  # the loop is closed, or busy for good
            return False
        settings = CameraSettings(
            exposure_s=asked.exposure_s,
            gain=float(asked.gain),
            offset=float(asked.offset),
            binning=asked.bin,
            bits=asked.bits,
            roi=Roi(asked.x, asked.y, asked.width, asked.height),
        )
        noise = key_of(self._noise_key, asked.number)
        pixels = render(self._world, settings, field, asked.temp_c, noise)
        ctypes.memmove(asked.pixels, np.ascontiguousarray(pixels).ctypes.data, pixels.nbytes)
        self._truths.append((asked.start_monotonic_s, self._world.truth(field, asked.bin, asked.x, asked.y)))
        return True

    def truth(self, image: Image) -> FrameTruth | None:
        """The truth of the frame that began when this one did."""
        start_s, width_s = image.facts.start_loop_s, image.facts.start_uncertainty_s
        if start_s is None or width_s is None or not self._truths:
            return None
        began_s, truth = min(tuple(self._truths), key=lambda kept: abs(kept[0] - start_s))
        if not start_s - 0.05 <= began_s <= start_s + width_s + 0.05:
            return None
        return truth

    def guide(self, pin: int, on: bool) -> None:
        """In the driver's thread: a pin of the guide port has changed."""
        motor, rate = self._world.mechanics.guide_motor(PINS[pin])

        def turn() -> None:
            motor.set_rate(self._world.now_s(), rate if on else 0.0)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(turn)
