"""Emulated ZWO cameras under the real driver, for tests: a camera, and the handle that injects faults."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from acquisition.camera import CameraSettings, Roi
from acquisition.devices import DeviceContext, open_camera
from acquisition.threaded_camera import Deadlines, ThreadedCamera
from drivers.zwo import camera as zwo
from drivers.zwo.sensor import ZwoSensor
from simulators.asi_sdk import FakeSdk
from simulators.asi_sdk.emulator import emulated_bus

SHORT = Deadlines(open_s=10.0, configure_s=2.0, call_s=0.5, read_s=0.5, stop_s=0.5, readout_s=0.3)
SETTINGS = CameraSettings(exposure_s=0.01, gain=120.0, offset=20.0, roi=Roi(16, 8, 320, 240))


@dataclass
class Rig:
    """A connected camera, its sensor, and its fake library."""

    camera: ThreadedCamera
    sensor: ZwoSensor
    fake: FakeSdk
    context: DeviceContext


def with_zwo(
    body: Callable[[Rig], Awaitable[None]],
    url: str = "zwo://ASI178MM?emulate=1",
    *,
    settings: CameraSettings | None = SETTINGS,
    deadlines: Deadlines = SHORT,
) -> None:
    """Run a test's body with a connected camera that is set up; releases what hangs."""

    async def main() -> None:
        context = DeviceContext(seed=1)
        usual, zwo.DEADLINES = zwo.DEADLINES, deadlines
        try:
            camera: Any = open_camera(url, context)
        finally:
            zwo.DEADLINES = usual
        fake = emulated_bus(context).sdk
        try:
            async with camera:
                if settings is not None:
                    await camera.configure(settings)
                await body(Rig(camera, camera._sensor, fake, context))
        finally:
            fake.release()

    asyncio.run(main())
    gc.collect()


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened; not for ever."""
    deadline_s = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.005)
