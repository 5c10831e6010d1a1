"""Frames of the simulated camera that are drawn ahead."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from acquisition import virtual_time
from acquisition.camera import CameraSettings, Roi
from acquisition.images import Image
from simulators.camera import SimulatedCamera
from simulators.scenario import load_scenario
from simulators.world import make_world

SHORT = CameraSettings(exposure_s=0.5, roi=Roi(300, 200, 128, 128))
LONG = CameraSettings(exposure_s=1.0, roi=Roi(300, 200, 128, 128))


def test_frames_drawn_ahead_are_those_drawn_at_once_whatever_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes between: exposures that are cancelled, and other settings for some frames."""

    async def take() -> list[Image]:
        camera, images = SimulatedCamera(make_world(load_scenario("average"), 3)), []
        async with camera:
            for settings, n in ((SHORT, 6), (LONG, 3), (SHORT, 3)):
                await camera.configure(settings)
                images += [await camera.expose() for _ in range(n)]
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(camera.expose(), 0.1)
                images.append(await camera.expose())
        return images

    ahead = virtual_time.run(take())
    monkeypatch.setattr(SimulatedCamera, "_begin_next", lambda *_: None)
    at_once = virtual_time.run(take())
    assert len(ahead) == len(at_once) == 15
    assert all(np.array_equal(one.data, other.data) for one, other in zip(ahead, at_once, strict=True))
    assert len({image.data.tobytes() for image in ahead}) == 15
