"""What every `Mount` does, whoever made it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest
from implementations import MountCase

from acquisition.errors import DeviceBusy, DeviceError, Unsupported
from acquisition.mount import Direction, Mount, MountState, PierSide

PULSE_S = 0.5
LATENCY_S = 0.5

Body = Callable[[Mount], Awaitable[None]]


@pytest.fixture
def on_mount(mount_case: MountCase) -> Callable[[Body], None]:
    """Run a test's body with a connected mount."""

    async def main(body: Body) -> None:
        async with mount_case.open() as mount:
            await body(mount)

    return lambda body: mount_case.run(main(body))


async def began(motion: Awaitable[None]) -> asyncio.Task[None]:
    """A motion that has begun and goes on."""
    task = asyncio.ensure_future(motion)
    await asyncio.sleep(0.2)
    assert not task.done()
    return task


async def elsewhere(mount: Mount) -> tuple[float, float]:
    """Coordinates some degrees from where the mount points."""
    state = await mount.state()
    assert state.ra_deg is not None
    assert state.dec_deg is not None
    return (state.ra_deg + 10) % 360, state.dec_deg - 10 if state.dec_deg > 0 else state.dec_deg + 10


def test_keeps_to_the_protocol(on_mount: Callable[[Body], None]) -> None:
    async def body(mount: Mount) -> None:
        assert isinstance(mount, Mount)

    on_mount(body)


def test_nothing_works_before_connect_and_after_close(mount_case: MountCase) -> None:
    async def refused(mount: Mount) -> None:
        with pytest.raises(DeviceError):
            _ = mount.info
        for attempt in (mount.state, lambda: mount.pulse_guide(Direction.NORTH, 0.1)):
            with pytest.raises(DeviceError):
                await attempt()

    async def main() -> None:
        mount = mount_case.open()
        await refused(mount)
        await mount.connect()
        assert mount.info.name
        await mount.close()
        await refused(mount)

    mount_case.run(main())


def test_connect_and_close_nest(mount_case: MountCase) -> None:
    async def main() -> None:
        mount = mount_case.open()
        await mount.close()
        await asyncio.gather(mount.connect(), mount.connect())
        await mount.close()
        await mount.pulse_guide(Direction.WEST, 0.1)
        await mount.close()
        with pytest.raises(DeviceError):
            _ = mount.info
        await mount.close()
        async with mount, mount:
            assert mount.info.name

    mount_case.run(main())


def test_info_makes_sense(on_mount: Callable[[Body], None]) -> None:
    async def body(mount: Mount) -> None:
        assert 0 <= mount.info.min_pulse_s < mount.info.max_pulse_s

    on_mount(body)


def test_state_is_typed_and_in_range(on_mount: Callable[[Body], None]) -> None:
    async def body(mount: Mount) -> None:
        state = await mount.state()
        assert isinstance(state, MountState)
        assert isinstance(state.pier_side, PierSide)
        assert state.tracking in (True, False, None)
        assert state.slewing is False
        assert state.ra_deg is None or 0 <= state.ra_deg < 360
        assert state.dec_deg is None or -90 <= state.dec_deg <= 90
        for rate in (state.ra_guide_rate_arcsec_per_s, state.dec_guide_rate_arcsec_per_s):
            assert rate is None or 0 < rate < 100

    on_mount(body)


@pytest.mark.parametrize("direction", Direction)
def test_pulse_returns_when_it_has_ended(on_mount: Callable[[Body], None], direction: Direction) -> None:
    async def body(mount: Mount) -> None:
        clock = asyncio.get_running_loop().time
        for duration_s in (0.0, PULSE_S):
            began_s = clock()
            await mount.pulse_guide(direction, duration_s)
            assert duration_s <= clock() - began_s + 1e-9 < duration_s + LATENCY_S
        await mount.pulse_guide(direction.opposite, PULSE_S)

    on_mount(body)


@pytest.mark.parametrize("duration_s", [math.nan, math.inf, -0.1, -math.inf, "too long"])
def test_impossible_pulse_is_refused(on_mount: Callable[[Body], None], duration_s: float | str) -> None:
    async def body(mount: Mount) -> None:
        seconds = mount.info.max_pulse_s + 0.001 if isinstance(duration_s, str) else duration_s
        with pytest.raises(ValueError, match="allowed"):
            await mount.pulse_guide(Direction.EAST, seconds)
        await mount.pulse_guide(Direction.EAST, 0.1)

    on_mount(body)


def test_one_pulse_an_axis(on_mount: Callable[[Body], None]) -> None:
    async def body(mount: Mount) -> None:
        pulse = await began(mount.pulse_guide(Direction.EAST, 3.0))
        for direction in (Direction.EAST, Direction.WEST):
            with pytest.raises(DeviceBusy):
                await mount.pulse_guide(direction, PULSE_S)
        assert not pulse.done()
        if mount.info.parallel_pulses:
            await mount.pulse_guide(Direction.NORTH, PULSE_S)
            assert not pulse.done()
        await pulse
        await mount.pulse_guide(Direction.WEST, PULSE_S)

    on_mount(body)


def test_cancelled_pulse_stops(on_mount: Callable[[Body], None]) -> None:
    async def body(mount: Mount) -> None:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        pulse = await began(mount.pulse_guide(Direction.NORTH, 5.0))
        pulse.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pulse
        await mount.pulse_guide(Direction.SOUTH, 0.1)  # the axis is free
        assert clock() - began_s < 2.0

    on_mount(body)


@pytest.mark.parametrize("how", ["stop", "close"])
def test_stop_and_close_end_pulses(mount_case: MountCase, how: str) -> None:
    async def main() -> None:
        async with mount_case.open() as mount:
            pulse = await began(mount.pulse_guide(Direction.WEST, 5.0))
            await (mount.stop() if how == "stop" else mount.close())
            done, _ = await asyncio.wait([pulse], timeout=LATENCY_S)
            assert done == {pulse}
            assert pulse.exception() is None or isinstance(pulse.exception(), DeviceError)

    mount_case.run(main())


def test_slew_goes_there_and_refuses_company(on_mount: Callable[[Body], None]) -> None:
    async def body(mount: Mount) -> None:
        if not mount.info.can_slew:
            with pytest.raises(Unsupported):
                await mount.slew(10.0, 10.0)
            return
        ra_deg, dec_deg = await elsewhere(mount)
        slew = await began(mount.slew(ra_deg, dec_deg))
        assert (await mount.state()).slewing
        with pytest.raises(DeviceBusy):
            await mount.pulse_guide(Direction.NORTH, PULSE_S)
        await slew
        state = await mount.state()
        assert not state.slewing
        assert state.ra_deg == pytest.approx(ra_deg, abs=0.02)
        assert state.dec_deg == pytest.approx(dec_deg, abs=0.02)
        await mount.pulse_guide(Direction.NORTH, PULSE_S)

    on_mount(body)


def test_cancelled_slew_stops(on_mount: Callable[[Body], None]) -> None:
    async def body(mount: Mount) -> None:
        if not mount.info.can_slew:
            return
        ra_deg, dec_deg = await elsewhere(mount)
        slew = await began(mount.slew(ra_deg, dec_deg))
        slew.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slew
        state = await mount.state()
        assert not state.slewing
        assert state.dec_deg != pytest.approx(dec_deg, abs=1.0)

    on_mount(body)


@pytest.mark.parametrize(("ra_deg", "dec_deg"), [(math.nan, 0.0), (0.0, 91.0), (0.0, math.nan), (math.inf, 0.0)])
def test_coordinates_off_the_sky_are_refused(on_mount: Callable[[Body], None], ra_deg: float, dec_deg: float) -> None:
    async def body(mount: Mount) -> None:
        if not mount.info.can_slew:
            return
        before = await mount.state()
        for attempt in (mount.slew, mount.sync):
            with pytest.raises(ValueError, match="allowed"):
                await attempt(ra_deg, dec_deg)
        assert (await mount.state()).dec_deg == pytest.approx(before.dec_deg, abs=0.01)

    on_mount(body)


@pytest.mark.parametrize(("dra_deg", "ddec_deg"), [(math.nan, 0.0), (0.0, math.inf), (0.8, 0.8)])
def test_impossible_offset_is_refused(on_mount: Callable[[Body], None], dra_deg: float, ddec_deg: float) -> None:
    async def body(mount: Mount) -> None:
        with pytest.raises(ValueError, match="allowed"):
            await mount.offset(dra_deg, ddec_deg)

    on_mount(body)


def test_offset_shifts_the_pointing_but_not_what_is_said(on_mount: Callable[[Body], None]) -> None:
    async def body(mount: Mount) -> None:
        if not mount.info.can_offset:
            with pytest.raises(Unsupported):
                await mount.offset(0.001, 0.001)
            return
        before = await mount.state()
        assert before.dec_deg is not None
        await mount.offset(0.01, -0.02)
        after = await mount.state()
        assert not after.slewing
        assert after.ra_deg == pytest.approx(before.ra_deg, abs=1e-4)
        assert after.dec_deg == pytest.approx(before.dec_deg, abs=1e-4)
        await mount.pulse_guide(Direction.NORTH, PULSE_S)
        if mount.info.can_park:
            await mount.park()
            with pytest.raises(DeviceBusy):
                await mount.offset(0.01, 0.0)

    on_mount(body)


def test_parked_mount_does_not_move(on_mount: Callable[[Body], None]) -> None:
    async def body(mount: Mount) -> None:
        if not mount.info.can_park:
            return
        await mount.park()
        assert (await mount.state()).parked
        with pytest.raises(DeviceBusy):
            await mount.pulse_guide(Direction.NORTH, PULSE_S)
        await mount.unpark()
        assert not (await mount.state()).parked
        await mount.pulse_guide(Direction.NORTH, PULSE_S)

    on_mount(body)


def test_tracking_is_switched(on_mount: Callable[[Body], None]) -> None:
    async def body(mount: Mount) -> None:
        for on in (False, True):
            await mount.set_tracking(on)
            assert (await mount.state()).tracking in (on, None)

    on_mount(body)
