"""A blocking sensor's video as a stream of a camera: buffers, deadlines, who may do what meanwhile."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest
from fake_sensor import AT_ONCE_S, EXPOSURE_S, FakeSensor

from acquisition.camera import CameraSettings
from acquisition.errors import DeviceBusy, DeviceGone, DeviceTimeout, ExposureFailed
from acquisition.threaded_camera import ThreadedCamera


def test_stream_drops_and_counts_while_nobody_returns_a_buffer(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        async with aclosing(camera.stream()) as frames:
            held = [await anext(frames), await anext(frames)]
            waiting = asyncio.ensure_future(anext(frames))
            await asyncio.sleep(5 * EXPOSURE_S)
            assert not waiting.done()
            held.clear()
            image = await waiting
            assert image.facts.n_dropped > 0
            assert image.facts.frame_seq == 3
            assert int(image.data[0, 0]) > 3

    on_camera(body, n_buffers=3)


def test_stream_gives_up_when_no_buffer_ever_returns(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        async with aclosing(camera.stream()) as frames:
            held = [await anext(frames), await anext(frames)]
            with pytest.raises(ExposureFailed, match="all 3 frame buffers"):
                await anext(frames)
            assert len(held) == 2
        assert sensor.calls[-1] == "stop"

    on_camera(body, n_buffers=3)


def test_video_without_frames_is_a_timeout(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        async with aclosing(camera.stream()) as frames:
            with pytest.raises(DeviceTimeout, match="no video frame within"):
                await anext(frames)
        assert sensor.calls[-1] == "stop"
        sensor.time_scale = 1.0
        await camera.expose()

    on_camera(body, time_scale=1000.0)


def test_status_gets_in_between_the_slices_of_a_slow_video(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        await camera.configure(CameraSettings(exposure_s=20.0))
        async with aclosing(camera.stream()) as frames:
            waiting = asyncio.ensure_future(anext(frames))
            await asyncio.sleep(0.05)
            for _ in range(5):
                began_s = time.monotonic()
                await camera.status()
                assert time.monotonic() - began_s < AT_ONCE_S
            assert not waiting.done()
            waiting.cancel()
            await asyncio.wait([waiting])
        assert sensor.calls[-1] == "stop"

    on_camera(body)


def test_streaming_occupies_the_camera_until_it_is_left(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        async with aclosing(camera.stream()) as frames:
            await anext(frames)
            with pytest.raises(DeviceBusy, match="a stream runs"):
                await camera.expose()
            with pytest.raises(DeviceBusy, match="a stream runs"):
                await camera.configure(camera.settings)
        await camera.expose()

    on_camera(body)


def test_stream_left_open_ends_when_the_camera_is_closed(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        frames = camera.stream()
        await anext(frames)
        await camera.close()
        await camera.connect()
        with pytest.raises(DeviceGone, match="closed during a stream"):
            await anext(frames)
        await camera.expose()

    on_camera(body)


def test_video_start_is_an_exposure_before_the_frame_arrived(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        await camera.configure(CameraSettings(exposure_s=0.1))
        clock = asyncio.get_running_loop().time
        async with aclosing(camera.stream()) as frames:
            for _ in range(2):
                facts = (await anext(frames)).facts
                earliest_s, latest_s = facts.start_loop_s, facts.start_loop_s + facts.start_uncertainty_s
                assert earliest_s <= clock() - 0.1 < latest_s + AT_ONCE_S
                assert 0 < facts.start_uncertainty_s < AT_ONCE_S

    on_camera(body)
