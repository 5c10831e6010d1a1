"""A night on the simulator in virtual time, and everything that happened in it."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from acquisition import virtual_time
from acquisition.camera import Camera, CameraSettings, Roi
from acquisition.devices import open_camera, open_mount
from acquisition.errors import StarLost
from acquisition.geometry import MountAxis, MountResponse
from acquisition.guiding.events import Event, StateChanged
from acquisition.guiding.guider import Guider
from acquisition.guiding.settings import GuiderSettings
from acquisition.guiding.statistics import GuidingStatistics
from acquisition.images import Image, ImageProcessor, Pipeline
from acquisition.images.processors.offsets import GuideStarOffsets
from acquisition.mount import Direction, Mount, MountState

SETTINGS = CameraSettings(exposure_s=2.0, roi=Roi(320, 240, 640, 480))


class Wrapped:
    """A device that behaves as the one inside, but for what a test overrides."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class CloudFrom(ImageProcessor):
    """No stars between two frames of the run."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last, self.n = first, last, 0

    async def __call__(self, image: Image) -> Image:
        self.n += 1
        if self.first <= self.n <= self.last:
            raise StarLost("brightest star has SNR 1.2, need 5")
        return image


def true_response(camera: Any, said: MountState) -> MountResponse:
    """What a perfect calibration would find on the simulator."""
    world = camera.world
    axes = []
    for direction, east, north, factor in (
        (Direction.WEST, 1.0, 0.0, math.cos(math.radians(world.setup.dec_deg))),
        (Direction.NORTH, 0.0, 1.0, 1.0),
    ):
        x, y = np.linalg.inv(world.cd_deg_per_px) @ np.array([-east, -north]) / 3600  # against the pointing
        rate = abs(world.mechanics.guide_motor(direction)[1])
        axes.append(MountAxis(math.degrees(math.atan2(y, x)), rate * factor * math.hypot(x, y)))
    return MountResponse(axes[0], axes[1], said.dec_deg, said.pier_side.value)


class Night:
    """What happened in a run: events, statistics, and every pulse that reached the mount."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.statistics = GuidingStatistics()
        self.pulses: list[tuple[float, Direction, float]] = []
        self.world: Any = None
        self.guider: Guider
        self.react: Callable[[Event], None] = lambda event: None

    def listen(self, event: Event) -> None:
        self.events.append(event)
        self.statistics.listen(event)
        self.react(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def states(self) -> list[Any]:
        return [event.state for event in self.of(StateChanged)]

    async def run(
        self, duration_s: float | None = 120.0, settings: GuiderSettings = GuiderSettings(), *,  # noqa: B008  # frozen
        steps: list[ImageProcessor] | None = None, camera: Callable[[Camera], Any] = lambda c: c,
        mount: Callable[[Mount], Any] = lambda m: m, url: str = "sim://?seed=3", stars: int = 20,
        known: Callable[[MountResponse], MountResponse] | None = None, frames: CameraSettings = SETTINGS,
    ) -> "Night":  # fmt: skip
        """Guide; with `known` (what is made of the true response) without a calibration before."""
        night = self

        class Recording(Wrapped):
            async def pulse_guide(self, direction: Direction, duration_s: float) -> None:
                night.pulses.append((asyncio.get_running_loop().time(), direction, duration_s))
                await self.inner.pulse_guide(direction, duration_s)

        async with open_camera(url) as real_camera, open_mount(url) as real_mount:
            self.world = real_camera.world  # type: ignore[attr-defined]  # the simulator's own
            await real_camera.configure(frames)
            chain = Pipeline(steps=[GuideStarOffsets(stars), *(steps or [])])
            self.guider = Guider(camera(real_camera), Recording(mount(real_mount)), chain, settings, self.listen)
            response = None if known is None else known(true_response(real_camera, await real_mount.state()))
            await self.guider.run(duration_s, response)
        return self


def night(*args: Any, **kwargs: Any) -> Night:
    """A night that runs to its end."""
    return virtual_time.run(Night().run(*args, **kwargs))
