"""One frame to one measurement, whatever the camera does.

In: a camera and a chain of processors. Out: a `Measurement`, or the reason why there is none. A camera that fails is
reopened for as long as it takes (`acquisition.reopening`).
"""

from __future__ import annotations

import asyncio
import cmath
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from acquisition.camera import Camera, CameraSettings, FrameTruth
from acquisition.errors import DeviceError, ImageError
from acquisition.guiding.auto_exposure import AutoExposure
from acquisition.images import Image, Pipeline
from acquisition.images.meta import GuideStar, GuideStars, PixelOffsets
from acquisition.reopening import ReopeningCamera
from acquisition.virtual_time import utc_now


@dataclass(frozen=True, slots=True)
class Measurement:
    """Where the stars are in one frame, against the chain's reference; px and seconds as in `Step`.

    `dx` and `dy` are those of the stars' common centre (`GuideStars.pivot`), however far the field is turned about it.
    """

    t_s: float  # middle of the exposure
    utc: datetime
    exposure_s: float
    dx: float
    dy: float
    dx_err: float | None
    dy_err: float | None
    stars: tuple[GuideStar, ...]
    image: Image
    truth: FrameTruth | None
    pivot: tuple[float, float] | None = None


class FrameSource:
    """Takes frames and measures them.

    Parameters
    ----------
    camera : Camera
        Connected and configured.
    chain : Pipeline
        Sets `PixelOffsets` and `GuideStars`.
    notice : callable
        Told, in a sentence, when the camera goes and when it is back.
    auto : AutoExposure, optional
        Sets the exposure times; None: they stay as they are asked for.
    """

    def __init__(
        self, camera: Camera, chain: Pipeline, notice: Callable[[str], None], auto: AutoExposure | None = None
    ) -> None:
        self._camera = camera
        self._frames = ReopeningCamera(camera, notice)
        self._chain = chain
        self._not_before_s = -math.inf
        self._auto = auto
        self._asked_s, self._asked_gain = camera.settings.exposure_s, camera.settings.gain
        self.rotator_deg: float | None = None
        """Of the last frame, measured or not; None where nobody says."""
        self._runs_free = False
        self._exposing: asyncio.Task[Image] | None = None  # while it runs free

    @property
    def settings(self) -> CameraSettings:
        """Of the camera, known even while it is gone."""
        return self._frames.settings

    @property
    def camera_fails(self) -> bool:
        """Whether it was the camera that gave no measurement last time."""
        return self._frames.failures > 0

    async def forget(self) -> None:
        """Let the chain choose new stars in the next frame."""
        await self._chain.reset_pipeline()
        if self._auto is not None:
            self._auto.forget()

    @contextlib.asynccontextmanager
    async def running_free(self) -> AsyncIterator[None]:
        """Meanwhile the next exposure begins as soon as a frame is there, and no frame is stale."""
        self._runs_free, self._not_before_s = True, -math.inf
        try:
            yield
        finally:
            self._runs_free = False
            exposing, self._exposing = self._exposing, None
            if exposing is not None:
                exposing.cancel()
                with contextlib.suppress(asyncio.CancelledError, DeviceError):
                    await exposing

    async def arrives(self, within_s: float | None) -> bool:
        """Whether the next frame of a camera that runs free is there by then, or why there is none."""
        if self._exposing is None:
            self._exposing = self._expose()
        await asyncio.wait({self._exposing}, timeout=within_s)
        return self._exposing.done()

    async def moved(self, wait_s: float = 0.0) -> None:
        """The mount has just moved: frames that begin within `wait_s` from now, or before, are stale; waits so long."""
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._not_before_s = asyncio.get_running_loop().time()

    def corrected(self, dx: float, dy: float) -> None:
        """The mount was sent so far, px of the frame."""
        if self._auto is not None:
            self._auto.corrected(dx, dy)

    async def measure(self, exposure_s: float | None = None) -> Measurement | str:
        """The next frame, measured, or why it was not.

        Parameters
        ----------
        exposure_s : float, optional
            From this frame on, if given (from the next but one while the camera runs free); what the camera makes of
            it is in `settings`. Where a law sets exposure times, no longer than that.
        """
        try:
            image = await self._next(exposure_s)
        except DeviceError as error:
            return str(error)
        facts = image.facts
        self.rotator_deg = facts.rotator_deg
        start_s = facts.start_loop_s
        took_s = facts.exposure_s or 0.0
        if start_s is None:
            start_s = asyncio.get_running_loop().time() - took_s
        if start_s < self._not_before_s:
            return f"stale frame: it began {self._not_before_s - start_s:.3f} s before the last pulse ended"
        try:
            image = await self._chain(image)
        except ImageError as error:
            return str(error)
        finally:
            if self._auto is not None:
                self._auto.saw(image, start_s)
        offsets = image.get_meta_safe(PixelOffsets) or PixelOffsets()
        if not (math.isfinite(offsets.dx) and math.isfinite(offsets.dy)):
            return f"the measured offset ({offsets.dx}, {offsets.dy}) px is not finite"
        stars = image.get_meta_safe(GuideStars) or GuideStars()
        # the chain's offset is of another place in a turned field: `kernels.combine.Motion.midway`
        moved = complex(offsets.dx, offsets.dy) * (1 + cmath.exp(1j * math.radians(stars.turn_deg))) / 2
        utc = facts.start_utc or utc_now()
        return Measurement(
            start_s + took_s / 2, utc + timedelta(seconds=took_s / 2), took_s,
            moved.real, moved.imag, offsets.dx_err, offsets.dy_err,
            tuple(stars.stars), image, self._camera.truth(image), stars.pivot,
        )  # fmt: skip

    async def _next(self, exposure_s: float | None) -> Image:
        if not self._runs_free:
            await self._configure(exposure_s)
            return await self._frames.expose()
        await self.arrives(None)
        assert self._exposing is not None
        exposing, self._exposing = self._exposing, None
        image = exposing.result()
        await self._configure(exposure_s)
        self._exposing = self._expose()
        return image

    def _expose(self) -> asyncio.Task[Image]:
        return asyncio.create_task(self._frames.expose())

    async def _configure(self, exposure_s: float | None) -> None:
        wanted_s, gain = self._wanted(exposure_s)
        if (wanted_s, gain) != (self._asked_s, self._asked_gain):
            await self._frames.configure(replace(self.settings, exposure_s=wanted_s, gain=gain))
            self._asked_s, self._asked_gain = wanted_s, gain

    def _wanted(self, exposure_s: float | None) -> tuple[float, float | None]:
        """Exposure and gain of the next frame."""
        asked_s = self._asked_s if exposure_s is None else exposure_s
        if self._auto is None or self._auto.next_s is None:
            return asked_s, self._asked_gain
        gain = self._asked_gain if self._auto.gain is None else self._auto.gain
        return self._auto.next_s if exposure_s is None else min(self._auto.next_s, exposure_s), gain
