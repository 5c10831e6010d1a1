"""What can go wrong with a ZWO camera, each injected below the real driver: recovered and counted, or named."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import aclosing
from dataclasses import replace

import pytest
from asi import needs_compiler
from zwo_rig import SETTINGS, SHORT, Rig, until, with_zwo

from acquisition.camera import Roi
from acquisition.errors import DeviceError, DeviceGone, DeviceTimeout, ExposureFailed
from acquisition.images import Image
from drivers.zwo import sensor as zwo_sensor
from simulators.asi_sdk import Fault, read_stamp

pytestmark = needs_compiler

AT_ONCE_S = 4.0
CLEARLY_LONGER = replace(SETTINGS, exposure_s=0.1)


def number(image: Image) -> int:
    """The number that a frame carries in its pixels, if it is whole."""
    stamp = read_stamp(image.data)  # type: ignore[arg-type]  # of a camera: uint8 or uint16
    assert stamp is not None
    assert stamp.whole
    return stamp.number


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.FAIL, "failed"),
        (Fault.NEVER, None),
        (Fault.GOES_IDLE, "failed"),
        (Fault.EARLY, "early"),
        (Fault.DUPLICATE, "duplicate"),
        (Fault.TORN, "torn"),
        (Fault.SHORT, "short"),
    ],
)
def test_a_bad_snap_is_counted_and_taken_again(fault: Fault, reason: str | None) -> None:
    async def body(rig: Rig) -> None:
        first = await rig.camera.expose()
        rig.fake.inject(fault)
        image = await rig.camera.expose()
        assert rig.fake.happened(fault) == 1
        assert number(image) == number(first) + 2
        assert image.facts.n_dropped == (await rig.camera.status()).n_dropped == 1
        assert image.facts.frame_seq == 2
        if reason is not None:
            assert rig.sensor.counts == {reason: 1}

    with_zwo(body, settings=SETTINGS if fault is not Fault.EARLY else CLEARLY_LONGER)


def test_late_success_is_a_success() -> None:
    async def body(rig: Rig) -> None:
        rig.fake.inject(Fault.LATE, value=0.15)
        assert number(await rig.camera.expose()) == 1
        assert not rig.sensor.counts

    with_zwo(body)


def test_the_ladder_ends_with_a_report_and_lost_no_setting() -> None:
    async def body(rig: Rig) -> None:
        settings = rig.camera.settings
        rig.fake.inject(Fault.FAIL, 5)
        began_s = time.monotonic()
        with pytest.raises(ExposureFailed, match="ASI178MM: the exposure failed"):
            await rig.camera.expose()
        assert time.monotonic() - began_s < AT_ONCE_S
        assert rig.sensor.counts == {"failed": 5}
        image = await rig.camera.expose()
        assert number(image) == 6
        assert image.facts.gain == settings.gain == rig.fake.value(0)
        assert image.data.shape == (240, 320)
        assert (image.facts.x_origin_px, image.facts.y_origin_px) == (16, 8)
        assert image.facts.usb_limit == 40  # the last remedy

    with_zwo(body, "zwo://ASI178MM?emulate=1&bandwidth=80")


def test_a_frame_after_reopening_has_every_setting() -> None:
    async def body(rig: Rig) -> None:
        before = await rig.camera.expose()
        rig.fake.inject(Fault.FAIL, 3)
        image = await rig.camera.expose()
        for fact in ("gain", "offset", "exposure_s", "x_origin_px", "usb_limit", "readout_mode", "camera_id"):
            assert getattr(image.facts, fact) == getattr(before.facts, fact)
        assert image.facts.n_dropped == 3

    with_zwo(body, "zwo://ASI178MM?emulate=1&bandwidth=80&high_speed=1")


@pytest.mark.parametrize("fault", [Fault.DUPLICATE, Fault.TORN, Fault.SHORT, Fault.DROPPED])
def test_a_bad_video_frame_is_counted_and_left_out(fault: Fault) -> None:
    async def body(rig: Rig) -> None:
        rig.fake.set_buffer(30)  # a busy machine loses none
        numbers = []
        async with aclosing(rig.camera.stream()) as frames:
            async for image in frames:
                numbers.append(number(image))
                if len(numbers) == 2:
                    rig.fake.inject(fault, 2)
                if numbers[-1] == len(numbers) + 2 or len(numbers) == 60:  # good frames may wait in the buffer
                    break
        assert numbers == sorted(set(numbers))
        assert rig.fake.happened(fault) == 2
        assert numbers[-1] == len(numbers) + 2
        assert image.facts.n_dropped == 2
        assert (await rig.camera.status()).n_dropped == 2

    with_zwo(body)


def test_an_old_frame_at_the_start_of_a_video_is_rejected() -> None:
    async def body(rig: Rig) -> None:
        before = number(await rig.camera.expose())
        rig.fake.inject(Fault.EARLY)
        async with aclosing(rig.camera.stream()) as frames:
            assert number(await anext(frames)) > before
        assert rig.sensor.counts == {"early": 1}

    with_zwo(body, settings=CLEARLY_LONGER)


def test_a_video_that_stops_is_started_again() -> None:
    async def body(rig: Rig) -> None:
        async with aclosing(rig.camera.stream()) as frames:
            await anext(frames)
            rig.fake.inject(Fault.NEVER)
            for _ in range(3):
                image = await anext(frames)
        assert rig.fake.happened(Fault.NEVER) == 1
        assert image.facts.n_dropped is not None
        assert image.facts.n_dropped >= 1

    with_zwo(body)


def test_unplugged_is_named_and_plugged_in_again_everything_is_as_before() -> None:
    async def body(rig: Rig) -> None:
        await rig.camera.expose()
        rig.fake.plug(0, False)
        with pytest.raises(DeviceGone, match="removed"):
            await rig.camera.expose()
        with pytest.raises(DeviceError):
            await rig.camera.connect()
        with pytest.raises(DeviceGone):
            await rig.camera.expose()
        rig.fake.plug(0, True)
        await rig.camera.connect()
        image = await rig.camera.expose()
        assert image.facts.gain == rig.fake.value(0) == 120
        assert image.data.shape == (240, 320)
        await rig.camera.close()

    with_zwo(body)


def test_a_camera_that_vanishes_for_a_moment_does_not_lose_its_exposure() -> None:
    async def body(rig: Rig) -> None:
        rig.fake.refuse("ASIGetExpStatus", 5, 20)
        assert number(await rig.camera.expose()) == 1

    with_zwo(body, deadlines=replace(SHORT, readout_s=2.0))


async def configure_and_expose(rig: Rig) -> None:
    await rig.camera.configure(rig.camera.settings)
    await rig.camera.expose()


@pytest.mark.parametrize("call", ["StartExposure", "GetExpStatus", "GetDataAfterExp", "SetControlValue"])
def test_a_hung_call_is_named_and_does_not_hold_anybody_up(call: str) -> None:
    async def body(rig: Rig) -> None:
        await rig.camera.expose()
        rig.fake.hang(f"ASI{call}")
        began_s = time.monotonic()
        with pytest.raises(DeviceTimeout, match="has not returned within"):
            await configure_and_expose(rig)
        with pytest.raises(DeviceGone):
            await rig.camera.expose()
        assert time.monotonic() - began_s < AT_ONCE_S
        rig.fake.release()
        for _ in range(100):
            try:
                await rig.camera.connect()
                break
            except DeviceGone:
                await asyncio.sleep(0.02)
        image = await rig.camera.expose()
        assert image.facts.gain == 120
        await rig.camera.close()

    with_zwo(body)


def test_a_wedged_stop_does_not_hold_up_cancelling() -> None:
    async def body(rig: Rig) -> None:
        await rig.camera.configure(replace(SETTINGS, exposure_s=30.0))
        exposing = asyncio.ensure_future(rig.camera.expose())
        await until(lambda: rig.fake.n_calls > 0 and rig.sensor._began_s > 0)
        await asyncio.sleep(0.05)
        rig.fake.hang("ASIStopExposure")
        began_s = time.monotonic()
        exposing.cancel()
        await asyncio.wait([exposing])
        assert exposing.cancelled()
        assert time.monotonic() - began_s < AT_ONCE_S

    with_zwo(body)


def test_a_hung_library_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio
from acquisition.devices import DeviceContext, open_camera
from simulators.asi_sdk.emulator import emulated_bus
from drivers.zwo import camera as zwo
from acquisition.threaded_camera import Deadlines
zwo.DEADLINES = Deadlines(call_s=0.5, stop_s=0.5)
async def main():
    context = DeviceContext()
    async with open_camera("zwo://ASI178MM?emulate=1", context) as camera:
        emulated_bus(context).sdk.hang("ASIGetExpStatus")
        try:
            await camera.expose()
        except Exception as error:
            print(type(error).__name__)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "DeviceTimeout\n"


def test_frames_too_large_for_usb_memory_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zwo_sensor, "usbfs_memory_mb", lambda: 16)

    async def body(rig: Rig) -> None:
        rig.fake.set_usbfs_mb(0.1)
        with pytest.raises(ExposureFailed, match=r"usbfs_memory_mb.*0\.1 MB: raise it, starlatch doctor"):
            await rig.camera.expose()
        await rig.camera.configure(replace(SETTINGS, roi=Roi(0, 0, 64, 64)))
        await rig.camera.expose()

    with_zwo(body)


@pytest.mark.parametrize(
    "n_exposures", [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_many_exposures_with_random_faults(n_exposures: int) -> None:
    """1 s each, time-scaled; no wrong frame is accepted, every fault is counted."""
    faults = (Fault.FAIL, Fault.LATE, Fault.DUPLICATE, Fault.TORN, Fault.SHORT, Fault.EARLY, Fault.GOES_IDLE)

    async def body(rig: Rig) -> None:
        await rig.camera.configure(replace(SETTINGS, exposure_s=1.0))
        rig.fake.set_chance(0.05, *faults, seed=7)
        accepted, failed = [], 0
        for _ in range(n_exposures):
            try:
                accepted.append(number(await rig.camera.expose()))
            except ExposureFailed:
                failed += 1
        assert len(accepted) + failed == n_exposures
        assert accepted == sorted(set(accepted))
        happened = {fault: rig.fake.happened(fault) for fault in faults}
        assert sum(happened.values()) > 0.03 * n_exposures
        counts = rig.sensor.counts
        assert counts["failed"] == happened[Fault.FAIL] + happened[Fault.GOES_IDLE]
        assert counts["short"] == happened[Fault.SHORT]
        # An early frame that a busy machine looks at late is a duplicate, as is one that is torn in its first rows.
        old = counts["duplicate"] + counts["early"] + counts["torn"]
        assert old == happened[Fault.DUPLICATE] + happened[Fault.EARLY] + happened[Fault.TORN]
        print(f"{n_exposures} exposures, faults { ({f.name: n for f, n in happened.items()}) }, not recovered {failed}")

    with_zwo(body, "zwo://ASI178MM?emulate=1&speed=100")
