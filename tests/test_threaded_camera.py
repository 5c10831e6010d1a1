"""A blocking sensor as a camera, when things go wrong: hung calls, failures, an unplugged device, full buffers.

What every camera does is in ``contracts/``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from fake_sensor import AT_ONCE_S, EXPOSURE_S, INFO, SHORT, FakeSensor

from acquisition import virtual_time
from acquisition.camera import CameraSettings, ExposureState, Roi
from acquisition.errors import DeviceError, DeviceGone, DeviceTimeout, ExposureFailed, Unsupported
from acquisition.threaded_camera import ThreadedCamera


async def until(happened: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.005)


async def exposing(camera: ThreadedCamera, exposure_s: float = 20.0) -> asyncio.Task[Any]:
    await camera.configure(replace(camera.settings, exposure_s=exposure_s))
    task = asyncio.ensure_future(camera.expose())
    await asyncio.sleep(0.05)
    assert not task.done()
    return task


def test_all_calls_come_from_one_thread(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        await asyncio.gather(camera.expose(), camera.status(), camera.status())
        async with aclosing(camera.stream()) as frames:
            await anext(frames)
        assert len(sensor.threads) == 1
        assert threading.get_ident() not in sensor.threads

    on_camera(body)


def test_opening_changes_nothing_and_settings_come_before_the_first_frame() -> None:
    async def main() -> None:
        sensor = FakeSensor(replace(INFO, bits=(8,)), time_scale=0.001)
        async with ThreadedCamera(sensor, "Fake camera") as camera:
            assert sensor.calls == ["open"]
            assert camera.settings == CameraSettings(bits=8)
            image = await camera.expose()
            assert sensor.calls[:3] == ["open", "configure", "start"]
            assert image.facts.gain == camera.settings.gain == 10.0

    asyncio.run(main())


def test_a_long_exposure_of_a_fast_device_is_seen_soon(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        await camera.configure(CameraSettings(exposure_s=100.0))
        began_s = time.monotonic()
        await camera.expose()
        assert time.monotonic() - began_s < AT_ONCE_S

    on_camera(body, time_scale=0.001)


def test_long_exposures_are_asked_for_rarely(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        task = await exposing(camera)
        await asyncio.sleep(0.6)
        assert 3 <= sensor.calls.count("ask") < 15
        task.cancel()
        await asyncio.wait([task])

    on_camera(body)


def test_start_uncertainty_is_what_starting_took(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        release = sensor.hang("start")
        task = asyncio.ensure_future(camera.expose())
        await asyncio.sleep(0.05)
        release.set()
        facts = (await task).facts
        assert 0.04 < facts.start_uncertainty_s < AT_ONCE_S

    on_camera(body)


def test_facts_tell_sensor_settings_and_counters(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        await camera.configure(
            CameraSettings(exposure_s=EXPOSURE_S, binning=2, roi=Roi(8, 4, 32, 16), target_temp_c=-10.0, cooler_on=True)
        )
        facts = (await camera.expose()).facts
        assert (facts.read_noise_e, facts.usb_limit, facts.readout_mode) == (1.5, 40.0, "RAW16")
        assert (facts.x_pixel_size_um, facts.x_origin_px, facts.y_origin_px) == (7.5, 8, 4)
        assert (facts.set_temp_c, facts.ccd_temp_c, facts.cooler_power_percent) == (-10.0, -5.0, 40.0)
        assert facts.bayer_pattern is None
        await camera.configure(replace(camera.settings, cooler_on=False))
        assert (await camera.expose()).facts.set_temp_c is None

    on_camera(body)


@pytest.mark.parametrize(
    ("binning", "roi", "expected"), [(1, Roi(9, 4, 64, 32), ("RGGB", 1, 0)), (2, None, (None,) * 3)]
)
def test_bayer_pattern_follows_the_roi_and_ends_with_binning(on_camera, binning, roi, expected) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        await camera.configure(CameraSettings(exposure_s=EXPOSURE_S, binning=binning, roi=roi))
        facts = (await camera.expose()).facts
        assert (facts.bayer_pattern, facts.x_bayer_offset, facts.y_bayer_offset) == expected

    on_camera(body, info=replace(INFO, bayer_pattern="RGGB"))


@pytest.mark.parametrize("state", [ExposureState.FAILED, ExposureState.IDLE])
def test_failed_exposure_is_stopped_and_the_next_one_works(on_camera, state: ExposureState) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        sensor.states = [ExposureState.WORKING, state]
        with pytest.raises(ExposureFailed, match=state.value):
            await camera.expose()
        assert sensor.calls[-1] == "stop"
        assert (await camera.expose()).facts.frame_seq == 1

    on_camera(body)


def test_frame_that_never_comes_is_a_timeout_and_the_next_one_works(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        sensor.states = [ExposureState.WORKING] * 100_000
        began_s = time.monotonic()
        with pytest.raises(DeviceTimeout, match="no frame"):
            await camera.expose()
        assert 0.2 < time.monotonic() - began_s < AT_ONCE_S
        assert sensor.calls[-1] == "stop"
        sensor.states = []
        await camera.expose()

    on_camera(body)


@pytest.mark.parametrize("call", ["start", "ask", "read", "facts", "configure", "status", "start_video", "wait_video"])
def test_exception_of_a_driver_names_the_call(on_camera, call: str) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        sensor.fail(call, RuntimeError("boom"))
        with pytest.raises(DeviceError, match=r"Fake camera: .*RuntimeError: boom"):
            await use_everything(camera)
        assert (await camera.expose()).data.ndim == 2

    on_camera(body)


@pytest.mark.parametrize("call", ["start", "ask", "read", "configure", "status", "start_video", "wait_video"])
def test_hung_call_gives_the_camera_up_until_it_returns_and_is_opened_anew(on_camera, call: str) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        await camera.configure(replace(camera.settings, gain=33.0))
        release = sensor.hang(call)
        began_s = time.monotonic()
        with pytest.raises(DeviceTimeout, match=f"{call} has not returned within 0.4 s"):
            await use_everything(camera)
        for attempt in (camera.expose, camera.status, camera.connect, lambda: camera.configure(camera.settings)):
            with pytest.raises(DeviceGone, match=f"{call} has not returned"):
                await attempt()
        assert time.monotonic() - began_s < AT_ONCE_S
        release.set()
        with pytest.raises(DeviceGone, match="opened anew"):
            await camera.expose()
        await connect_again(camera)
        assert sensor.calls.count("open") == 2
        assert (await camera.expose()).facts.gain == 33.0
        await camera.close()  # the connect of this test; the fixture's is still there
        assert sensor.is_open

    on_camera(body)


async def connect_again(camera: ThreadedCamera) -> None:
    """Connect as soon as the thread has noticed that the hung call has returned."""
    deadline_s = time.monotonic() + 10
    while True:
        try:
            return await camera.connect()
        except DeviceGone:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.005)


async def use_everything(camera: ThreadedCamera) -> None:
    await camera.configure(replace(camera.settings, exposure_s=EXPOSURE_S))
    await camera.status()
    await camera.expose()
    async with aclosing(camera.stream()) as frames:
        await anext(frames)


def test_close_of_a_hung_camera_returns_at_once_and_never_raises(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        sensor.hang("read")
        with pytest.raises(DeviceTimeout):
            await camera.expose()
        began_s = time.monotonic()
        await camera.close()
        assert time.monotonic() - began_s < SHORT.stop_s
        with pytest.raises(DeviceError, match="not connected"):
            await camera.status()

    on_camera(body)


def test_hanging_close_is_bounded(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        sensor.hang("close")
        began_s = time.monotonic()
        await camera.close()
        assert time.monotonic() - began_s < AT_ONCE_S

    on_camera(body)


def test_hanging_stop_does_not_delay_cancelling_beyond_its_deadline(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        task = await exposing(camera)
        sensor.hang("stop")
        began_s = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began_s < AT_ONCE_S

    on_camera(body)


def test_exposure_is_stopped_even_if_cancelled_twice(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        task = await exposing(camera)
        release = sensor.hang("ask")
        await asyncio.sleep(0.3)  # the thread hangs in ask, stop must wait for it
        task.cancel()
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        release.set()
        await until(lambda: sensor.calls[-1] == "stop")

    on_camera(body, deadlines=replace(SHORT, call_s=5.0, stop_s=5.0))


def test_cancelled_opening_does_not_leave_the_device_open_for_good() -> None:
    async def main() -> None:
        sensor = FakeSensor()
        camera = ThreadedCamera(sensor, "Fake camera")
        release = sensor.hang("open")
        opening = asyncio.ensure_future(camera.connect())
        await asyncio.sleep(0.05)
        opening.cancel()
        await asyncio.wait([opening])
        release.set()
        async with camera:
            assert camera.info == INFO

    asyncio.run(main())


def test_unplugged_device_is_told_once_and_back_once(on_camera, caplog: pytest.LogCaptureFixture) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        sensor.fail("ask", DeviceGone("Fake camera: removed"))
        with pytest.raises(DeviceGone, match="removed"):
            await camera.expose()
        sensor.fail("open", DeviceGone("Fake camera: removed"))
        with pytest.raises(DeviceGone):
            await camera.connect()
        for _ in range(3):
            with pytest.raises(DeviceGone, match="removed"):
                await camera.expose()
        await camera.connect()
        await camera.expose()
        await camera.close()

    with caplog.at_level(logging.WARNING):
        on_camera(body)
    assert caplog.messages == ["Fake camera: is gone: removed", "Fake camera: is back"]


def test_failed_opening_can_be_tried_again() -> None:
    async def main() -> None:
        sensor = FakeSensor()
        sensor.fail("open", RuntimeError("no power"))
        camera = ThreadedCamera(sensor, "Fake camera")
        with pytest.raises(DeviceError, match="open: RuntimeError: no power"):
            await camera.connect()
        async with camera:
            assert camera.info == INFO
        assert not sensor.is_open

    asyncio.run(main())


def test_frames_held_exhaust_the_buffers_and_are_kept(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        held = [await camera.expose() for _ in range(3)]
        with pytest.raises(ExposureFailed, match="all 3 frame buffers"):
            await camera.expose()
        assert [int(image.data[0, 0]) for image in held] == [1, 2, 3]
        held.clear()
        image = await camera.expose()
        assert image.facts.n_dropped == 1
        assert (await camera.status()).n_dropped == 1

    on_camera(body, n_buffers=3)


def test_virtual_time_is_refused_by_name() -> None:
    async def main() -> None:
        with pytest.raises(Unsupported, match=r"Fake camera.*real time"):
            await ThreadedCamera(FakeSensor(), "Fake camera").connect()

    virtual_time.run(main())


def test_failed_exposures_give_their_buffers_back_without_the_collector(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        for _ in range(6):
            sensor.states = [ExposureState.FAILED]
            with pytest.raises(ExposureFailed, match="gave no frame"):
                await camera.expose()
        await camera.expose()

    gc.disable()
    try:
        on_camera(body, n_buffers=3)
    finally:
        gc.enable()


def test_remedies_are_applied_in_order_until_a_frame_comes() -> None:
    async def main() -> None:
        applied = []
        sensor = FakeSensor()

        def mild() -> None:
            applied.append("mild")
            sensor.fail("read", ExposureFailed("again"))

        def strong() -> None:
            applied.append("strong")

        async with ThreadedCamera(sensor, "Fake camera", deadlines=SHORT, remedies=(mild, strong)) as camera:
            await camera.configure(CameraSettings(exposure_s=EXPOSURE_S))
            sensor.fail("read", ExposureFailed("once"))
            image = await camera.expose()
            assert applied == ["mild", "strong"]
            assert image.facts.n_dropped == 2
            assert image.facts.frame_seq == 1

    asyncio.run(main())


def test_settings_that_were_put_in_force_by_half_are_put_back(on_camera) -> None:
    async def body(camera: ThreadedCamera, sensor: FakeSensor) -> None:
        before = camera.settings
        sensor.fail("configure", DeviceError("Fake camera: half way"))
        with pytest.raises(DeviceError, match="half way"):
            await camera.configure(replace(before, gain=77.0))
        n_before = sensor.calls.count("configure")
        assert (await camera.expose()).facts.gain == before.gain
        assert sensor.calls.count("configure") == n_before + 1

    on_camera(body)
