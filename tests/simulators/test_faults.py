"""Each kind of fault does what its name says, in virtual time; and all of them are tested."""

import asyncio
import contextlib
import math
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rigs import DARK_SKY, QUIET, STILL_MOUNT

from acquisition import virtual_time
from acquisition.camera import CameraSettings, FrameTruth, Roi
from acquisition.devices import DeviceContext, open_mount
from acquisition.errors import ConfigError, DeviceError, DeviceGone, DeviceTimeout, ExposureFailed, Unsupported
from acquisition.mount import Direction, MountState, PierSide
from simulators.camera import SimulatedCamera
from simulators.faults import KINDS, Fault, Faults
from simulators.mount import SimulatedMount
from simulators.setup import MountSpec, SensorSpec
from simulators.world import World

SMALL = CameraSettings(exposure_s=2.0, roi=Roi(0, 0, 64, 48))
BRIGHT = replace(QUIET, sky=replace(DARK_SKY, faintest_mag=13.0))


def now() -> float:
    return asyncio.get_running_loop().time()


def night(*faults: Fault, setup=QUIET) -> World:
    return World(setup, 1, faults)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return virtual_time.run(main)


async def until(time_s: float) -> None:
    await asyncio.sleep(time_s - now())


def truth(camera: SimulatedCamera, image) -> FrameTruth:
    known = camera.truth(image)
    assert known is not None
    return known


def test_hang():
    async def main() -> None:
        async with SimulatedCamera(night(Fault("hang", 5.0, 3.0))) as camera:
            await camera.configure(SMALL)
            await camera.expose()
            await until(6.0)
            with pytest.raises(DeviceTimeout):
                await camera.expose()
            assert now() == pytest.approx(6.0 + 2 + 0.05 + 5)
            await camera.expose()

    run(main())


def test_unplug():
    async def main() -> None:
        async with SimulatedCamera(night(Fault("unplug", 5.0, 10.0))) as camera:
            await camera.configure(SMALL)
            await until(4.0)
            with pytest.raises(DeviceGone, match="was unplugged"):
                await camera.expose()
            assert now() == pytest.approx(5.0)  # at once, not when the frame was due
            await camera.close()
            with pytest.raises(DeviceGone, match="is not plugged in"):
                await camera.connect()
            await until(16.0)
            with pytest.raises(DeviceError, match="not connected"):
                await camera.expose()
            await camera.connect()
            await camera.configure(SMALL)
            await camera.expose()

    run(main())


def test_a_camera_that_was_unplugged_unnoticed_must_be_opened_anew():
    async def main() -> None:
        camera = SimulatedCamera(night(Fault("unplug", 5.0, 1.0)))
        await camera.connect()
        await until(10.0)
        with pytest.raises(DeviceGone, match="close it and connect again"):
            await camera.expose()
        await camera.close()
        await camera.connect()
        await camera.configure(SMALL)
        await camera.expose()

    run(main())


def test_drop():
    async def main() -> None:
        async with SimulatedCamera(night(Fault("drop", 3.0, 5.0))) as camera:
            await camera.configure(SMALL)
            assert (await camera.expose()).facts.n_dropped == 0
            await until(3.5)
            with pytest.raises(ExposureFailed, match="lost on the way"):
                await camera.expose()
            async with contextlib.aclosing(camera.stream()) as stream:
                image = await anext(stream)
            assert image.facts.start_loop_s >= 8.0
            assert image.facts.n_dropped >= 2
            assert image.facts.frame_seq == 2
            assert (await camera.status()).n_dropped == image.facts.n_dropped

    run(main())


def test_frames_are_dropped_at_random_at_their_rate():
    setup = replace(QUIET, sensor=SensorSpec(width_px=32, height_px=32, drop_share=0.2, readout_s=0.0))

    async def lost() -> list[int]:
        async with SimulatedCamera(World(setup, 1)) as camera:
            await camera.configure(CameraSettings(0.01))
            lost = []
            for number in range(200):
                try:
                    await camera.expose()
                except ExposureFailed:
                    lost.append(number)
            return lost

    first = run(lost())
    assert 25 < len(first) < 58
    assert first == run(lost())


def test_duplicate():
    drifting = replace(BRIGHT, mount=replace(STILL_MOUNT, drift_ra_arcsec_per_min=30.0))

    async def main() -> None:
        async with SimulatedCamera(night(Fault("duplicate", 2.04, 2.0), setup=drifting)) as camera:
            await camera.configure(CameraSettings(2.0))
            one, same, other = [await camera.expose() for _ in range(3)]
            assert np.array_equal(one.data, same.data)
            assert not np.array_equal(one.data, other.data)
            assert same.facts.frame_seq == 2
            assert truth(camera, same) == truth(camera, one)

    run(main())


def test_late():
    async def main() -> None:
        async with SimulatedCamera(night(Fault("late", 0.0, 1.0, 3.0), Fault("late", 10.0, 1.0, 60.0))) as camera:
            await camera.configure(SMALL)
            await camera.expose()
            assert now() == pytest.approx(5.05)
            await camera.expose()
            assert now() == pytest.approx(7.1)
            await until(10.5)
            with pytest.raises(DeviceTimeout):  # later than anybody waits
                await camera.expose()

    run(main())


def test_cable_drag():
    async def main() -> None:
        async with SimulatedCamera(night(Fault("cable-drag", 10.0, 20.0, 8.0))) as camera:
            await camera.configure(replace(SMALL, exposure_s=1.0))
            seen = {}
            for time_s in (5.0, 14.5, 19.5, 28.5, 31.0):
                await until(time_s)
                seen[time_s] = truth(camera, await camera.expose()).dec_arcsec
            assert list(seen.values()) == pytest.approx([0.0, 2.0, 4.0, 7.6, 0.0], abs=0.01)

    run(main())


def test_power_cycle():
    async def main() -> None:
        world = night(Fault("power-cycle", 10.0, 5.0))
        async with SimulatedMount(world) as mount, SimulatedCamera(world) as camera:
            await camera.configure(replace(SMALL, exposure_s=0.1))
            await until(9.0)
            with pytest.raises(DeviceGone, match="has no power"):
                await mount.pulse_guide(Direction.NORTH, 4.0)
            assert now() == pytest.approx(10.0)
            for call in (mount.state(), mount.set_tracking(True), mount.pulse_guide(Direction.EAST, 0.1)):
                with pytest.raises(DeviceGone):
                    await call
            await until(20.0)
            assert (await mount.state()).tracking
            await mount.pulse_guide(Direction.EAST, 0.1)
            end = truth(camera, await camera.expose())
            cos_dec = math.cos(math.radians(30))
            assert end.ra_arcsec == pytest.approx((5 * 15.041 + 0.75) * cos_dec, abs=0.1)  # the sky went on
            assert end.dec_arcsec == pytest.approx(0.95 * 7.5, abs=0.05)  # the pulse until the power went

    run(main())


def test_loose_cable():
    async def main() -> None:
        world = night(Fault("loose-cable", 10.0, 5.0))
        async with SimulatedMount(world) as mount, SimulatedCamera(world) as camera:
            await camera.configure(replace(SMALL, exposure_s=0.1))
            seen = []
            for time_s in (5.0, 11.0, 20.0):
                await until(time_s)
                await mount.pulse_guide(Direction.NORTH, 1.0)
                assert now() == pytest.approx(time_s + 1.05, abs=0.1), "it takes its time"
                seen.append(truth(camera, await camera.expose()).dec_arcsec)
            assert seen == pytest.approx([7.5, 7.5, 15.0], abs=0.1)

    run(main())


def test_meridian():
    async def main() -> None:
        world = night(Fault("meridian", 10.0))
        async with SimulatedMount(world) as mount, SimulatedCamera(world) as camera:
            await camera.configure(replace(SMALL, exposure_s=0.1))
            await until(9.0)
            assert (await mount.state()).tracking
            await until(30.0)
            assert not (await mount.state()).tracking
            cos_dec = math.cos(math.radians(30))
            assert truth(camera, await camera.expose()).ra_arcsec == pytest.approx(20.05 * 15.041 * cos_dec, abs=0.2)
            await mount.set_tracking(True)
            still = [truth(camera, await camera.expose()).ra_arcsec for _ in range(2)]
            assert still[0] == pytest.approx(still[1], abs=0.001)

    run(main())


def test_cloud():
    world = night(Fault("cloud", 100.0, 100.0, 3.0), setup=BRIGHT)
    clear = World(BRIGHT, 1).field(0.0, 2.0).flux_e_per_s
    depth = {t: -2.5 * math.log10(np.median(world.field(t, t + 0.1).flux_e_per_s / clear)) for t in (99, 105, 150, 201)}
    assert depth == pytest.approx({99: 0.0, 105: 1.5, 150: 3.0, 201: 0.0}, abs=0.02)


def test_gust():
    async def main() -> None:
        async with SimulatedCamera(night(Fault("gust", 10.0, amount=9.0))) as camera:
            await camera.configure(replace(SMALL, exposure_s=0.02))
            swings = []
            for time_s in np.arange(9.0, 14.0, 0.1):
                await until(float(time_s))
                moved = truth(camera, await camera.expose())
                swings.append(math.hypot(moved.ra_arcsec, moved.dec_arcsec))
            assert max(swings[:10]) < 0.001
            assert 5 < max(swings) <= 9.1
            assert max(swings[-10:]) < 0.1 * max(swings)

    run(main())


def test_every_kind_has_its_test():
    assert {kind.replace("-", "_") for kind in KINDS} <= {name.removeprefix("test_") for name in globals()}


def test_what_comes_every_so_often_does():
    faults = Faults([Fault("hang", 10.0, 5.0, every_s=100.0)], MountSpec())
    hangs = [t for t in range(400) if faults.active("hang", t + 0.5) is not None]
    assert hangs == [t for start in (10, 110, 210, 310) for t in range(start, start + 5)]
    assert [faults.next_s("hang", t) for t in (0.0, 10.0, 120.0)] == [10.0, 110.0, 210.0]
    assert faults.next_s("unplug", 0.0) == math.inf
    assert faults.last_begin_s("hang", 9.0) == -math.inf


def test_the_meridian_limit_stops_tracking_and_a_slew_flips():
    """One degree before the meridian, with a limit a degree behind it: eight minutes."""
    ra_deg = World(QUIET, 1).hour_angle_deg(0.0, 0.0) + 1.0
    mount = replace(STILL_MOUNT, meridian_limit_deg=1.0, pulses_know_pier=False)
    setup = replace(QUIET, mount=mount, ra_deg=ra_deg % 360)

    async def main() -> None:
        world = World(setup, 1)
        async with SimulatedMount(world) as telescope, SimulatedCamera(world) as camera:
            await camera.configure(SMALL)
            before = (await camera.expose()).facts.wcs
            assert (await telescope.state()).pier_side is PierSide.WEST
            await until(470.0)
            assert (await telescope.state()).tracking
            await until(490.0)
            assert not (await telescope.state()).tracking
            began = now()
            await telescope.slew(setup.ra_deg, setup.dec_deg)
            assert now() - began == pytest.approx(180 / 3 + 1)  # over the pole
            state = await telescope.state()
            assert state.pier_side is PierSide.EAST
            assert state.tracking
            after = (await camera.expose()).facts.wcs
            assert np.array(after.cd) == pytest.approx(-np.array(before.cd), abs=1e-9)
            dec = truth(camera, await camera.expose()).dec_arcsec
            await telescope.pulse_guide(Direction.NORTH, 1.0)
            assert truth(camera, await camera.expose()).dec_arcsec - dec == pytest.approx(-7.5, abs=0.01)

    run(main())


def test_a_guide_port_moves_the_same_mount_and_knows_nothing_else():
    context = DeviceContext(seed=1)

    async def main() -> None:
        async with open_mount("sim://?port=guide", context) as port, open_mount("sim://", context) as mount:
            assert port.world is mount.world
            assert not port.info.can_slew
            assert await port.state() == MountState()
            before = port.world.mechanics.guide_ra.at(np.array([now()]))[0]
            await port.pulse_guide(Direction.EAST, 1.0)
            assert mount.world.mechanics.guide_ra.at(np.array([now()]))[0] - before > 5
            for call in (port.slew(1, 2), port.sync(1, 2), port.park(), port.unpark(), port.set_tracking(True)):
                with pytest.raises(Unsupported, match="guide port"):
                    await call
            with pytest.raises(ConfigError, match="port is 'usb'"):
                open_mount("sim://?port=usb", context)

    run(main())
