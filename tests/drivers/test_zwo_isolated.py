"""A ZWO library in a process of its own: frozen, crashed or killed, it costs a frame and not the night."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from asi import needs_compiler
from zwo_rig import SETTINGS

from acquisition.camera import Roi
from acquisition.devices import DeviceContext, open_camera, open_mount
from acquisition.errors import ConfigError, DeviceGone, DeviceNotFound
from acquisition.mount import Direction
from acquisition.reopening import ReopeningCamera
from acquisition.threaded_camera import Deadlines, ThreadedCamera
from drivers.zwo import camera as zwo
from drivers.zwo.isolated import IsolatedZwoSensor
from simulators.asi_sdk.build import fake_library
from simulators.asi_sdk.fake import read_stamp

pytestmark = needs_compiler

Body = Callable[[ThreadedCamera, IsolatedZwoSensor, DeviceContext], Awaitable[None]]


@pytest.fixture
def isolated(monkeypatch: pytest.MonkeyPatch) -> Callable[[Body], None]:
    """Run a test's body with a connected camera, set up, in front of two that are attached."""
    monkeypatch.setenv("STARLATCH_FAKE_ASI_CAMERAS", "ZWO ASI178MM;ZWO ASI120MM Mini;ZWO ASI178MM")
    monkeypatch.setattr(zwo, "DEADLINES", Deadlines(open_s=15.0, call_s=1.0, stop_s=1.5))

    async def main(body: Body) -> None:
        context = DeviceContext()
        url = f"zwo://ASI178MM?serial=0000000000000003&isolate=true&bandwidth=60&sdk_library={fake_library()}"
        camera: Any = open_camera(url, context)
        async with camera:
            await camera.configure(SETTINGS)
            await body(camera, camera._sensor, context)
        assert camera._sensor.process_id is None

    return lambda body: asyncio.run(main(body))


def test_frames_come_whole_and_the_library_is_elsewhere(isolated: Callable[[Body], None]) -> None:
    async def body(camera: ThreadedCamera, sensor: IsolatedZwoSensor, context: DeviceContext) -> None:
        assert sensor.process_id != os.getpid()
        assert camera.info.camera_id == "0000000000000003"
        image = await camera.expose()
        stamp = read_stamp(image.data)
        assert stamp is not None
        assert stamp.whole
        assert image.facts.usb_limit == 60
        larger = replace(SETTINGS, roi=None, bits=8)
        await camera.configure(larger)
        seen = []
        async with aclosing(camera.stream()) as frames:
            async for image in frames:
                stamp = read_stamp(image.data)
                assert stamp is not None
                assert stamp.whole
                assert image.data.dtype == np.uint8
                seen.append(stamp.number)
                if len(seen) == 3:
                    break
        assert seen == sorted(set(seen))
        async with open_mount("st4://camera", context) as mount:
            await mount.pulse_guide(Direction.NORTH, 0.05)

    isolated(body)


@pytest.mark.parametrize("end", [signal.SIGSTOP, signal.SIGKILL], ids=["hangs", "crashes"])
def test_what_hangs_or_crashes_is_killed_and_started_anew(isolated: Callable[[Body], None], end: int) -> None:
    async def body(camera: ThreadedCamera, sensor: IsolatedZwoSensor, context: DeviceContext) -> None:
        told: list[str] = []
        reopening = ReopeningCamera(camera, told.append)
        before = await reopening.expose()
        first = sensor.process_id
        assert first is not None
        os.kill(first, end)
        with pytest.raises(DeviceGone, match=r"killed|has died"):
            await reopening.expose()
        after = await reopening.expose()
        assert sensor.process_id not in (None, first)
        for fact in ("gain", "offset", "exposure_s", "x_origin_px", "usb_limit", "camera_id"):
            assert getattr(after.facts, fact) == getattr(before.facts, fact)
        assert told[-1] == "camera: frames again"
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)

    isolated(body)


def test_what_is_wrong_is_said_as_without_a_child(isolated: Callable[[Body], None]) -> None:
    async def body(camera: ThreadedCamera, sensor: IsolatedZwoSensor, context: DeviceContext) -> None:
        other = open_camera(f"zwo://ASI999?isolate=1&sdk_library={fake_library()}")
        with pytest.raises(DeviceNotFound, match="no ASI999 is attached; there are: ZWO ASI178MM"):
            await other.connect()
        with pytest.raises(ConfigError, match="leave out isolate or emulate"):
            open_camera("zwo://ASI178MM?isolate=1&emulate=1")
        with pytest.raises(ConfigError, match="allowed: true, false"):
            open_camera("zwo://ASI178MM?isolate=maybe")
        with pytest.raises(ValueError, match="allowed: at least 8x2 binned px"):
            await camera.configure(replace(SETTINGS, roi=Roi(0, 0, 4, 4)))
        assert (await camera.expose()).data.shape == (240, 320)  # as before

    isolated(body)
