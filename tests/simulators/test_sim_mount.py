"""``sim://`` as a mount: which way the stars go, how far, and when."""

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest
from rigs import QUIET, STILL_MOUNT

from acquisition import virtual_time
from acquisition.camera import CameraSettings, FrameTruth, Roi
from acquisition.devices import DeviceContext, open_camera, open_mount
from acquisition.errors import DeviceBusy, DeviceError
from acquisition.mount import Direction, Mount, PierSide
from simulators.camera import SimulatedCamera
from simulators.mount import SimulatedMount
from simulators.setup import Setup
from simulators.world import World

COS_DEC = math.cos(math.radians(30))
RATE = 7.5


def now() -> float:
    return asyncio.get_running_loop().time()


class Rig:
    """A camera and a mount in one world."""

    def __init__(self, setup: Setup = QUIET, exposure_s: float = 0.1) -> None:
        self.world = World(setup, 1)
        self.camera, self.mount = SimulatedCamera(self.world), SimulatedMount(self.world)
        self._exposure_s = exposure_s

    async def __aenter__(self) -> "Rig":
        await self.camera.connect()
        await self.mount.connect()
        await self.camera.configure(CameraSettings(exposure_s=self._exposure_s, roi=Roi(0, 0, 16, 16)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.mount.close()
        await self.camera.close()

    async def truth(self) -> FrameTruth:
        truth = self.camera.truth(await self.camera.expose())
        assert truth is not None
        return truth


def test_it_is_a_mount():
    async def main() -> None:
        async with open_mount("sim://", DeviceContext()) as mount:
            assert isinstance(mount, Mount)
            state = await mount.state()
            assert (state.ra_deg, state.dec_deg) == (120.0, 30.0)
            assert state.tracking
            assert state.pier_side is PierSide.WEST  # the field is east of the meridian at the epoch
            assert state.ra_guide_rate_arcsec_per_s == RATE

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("direction", "ra_arcsec", "dec_arcsec"),
    [
        (Direction.EAST, RATE * COS_DEC, 0.0),
        (Direction.WEST, -RATE * COS_DEC, 0.0),
        (Direction.NORTH, 0.0, RATE),
        (Direction.SOUTH, 0.0, -RATE),
    ],
)
def test_a_pulse_moves_the_stars_as_documented(direction, ra_arcsec, dec_arcsec):
    """West removes a positive RA displacement, South a positive Dec displacement."""

    async def main() -> None:
        async with Rig() as rig:
            await rig.mount.pulse_guide(direction, 1.0)
            truth = await rig.truth()
            assert truth.ra_arcsec == pytest.approx(ra_arcsec, abs=0.002)
            assert truth.dec_arcsec == pytest.approx(dec_arcsec, abs=0.002)
            scale = rig.world.scale_arcsec_per_px
            assert math.hypot(truth.dx_px, truth.dy_px) == pytest.approx(abs(ra_arcsec + dec_arcsec) / scale, rel=1e-3)

    virtual_time.run(main())


def test_a_pulse_returns_when_it_has_ended():
    async def main() -> None:
        async with Rig() as rig:
            await rig.mount.pulse_guide(Direction.EAST, 0.7)
            assert now() == pytest.approx(0.75)  # latency included
            await rig.mount.pulse_guide(Direction.EAST, 0.0)
            assert now() == pytest.approx(0.75)

    virtual_time.run(main())


def test_pulses_on_two_axes_run_together_and_on_one_axis_do_not():
    async def main() -> None:
        async with Rig() as rig:
            east = asyncio.create_task(rig.mount.pulse_guide(Direction.EAST, 1.0))
            await asyncio.sleep(0.1)
            for direction in (Direction.EAST, Direction.WEST):
                with pytest.raises(DeviceBusy, match="still guides"):
                    await rig.mount.pulse_guide(direction, 0.5)
            await rig.mount.pulse_guide(Direction.NORTH, 0.5)
            await east
            assert now() == pytest.approx(1.05)
            truth = await rig.truth()
            assert truth.ra_arcsec == pytest.approx(RATE * COS_DEC, abs=0.002)
            assert truth.dec_arcsec == pytest.approx(RATE / 2, abs=0.002)

    virtual_time.run(main())


def test_a_cancelled_pulse_stops_where_it_is():
    async def main() -> None:
        async with Rig() as rig:
            for cancelled_after_s, moved_s in ((0.02, 0.0), (0.45, 0.4)):
                before = await rig.truth()
                pulse = asyncio.create_task(rig.mount.pulse_guide(Direction.NORTH, 1.0))
                await asyncio.sleep(cancelled_after_s)
                pulse.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await pulse
                after = await rig.truth()
                assert after.dec_arcsec - before.dec_arcsec == pytest.approx(RATE * moved_s, abs=0.001)
            await rig.mount.pulse_guide(Direction.NORTH, 0.1)  # the axis is free again

    virtual_time.run(main())


@pytest.mark.parametrize("how", ["stop", "close"])
def test_stopping_and_closing_end_pulses(how):
    async def main() -> None:
        async with Rig() as rig:
            pulse = asyncio.create_task(rig.mount.pulse_guide(Direction.NORTH, 5.0))
            await asyncio.sleep(1.05)
            await (rig.mount.stop() if how == "stop" else rig.mount.close())
            await pulse
            assert now() == pytest.approx(1.05)
            assert (await rig.truth()).dec_arcsec == pytest.approx(RATE, abs=0.01)

    virtual_time.run(main())


def test_a_pulse_during_an_exposure_is_averaged():
    """Half a second of latency and waiting, one of motion, half a second after it: on average half the way."""

    async def main() -> None:
        async with Rig(exposure_s=2.0) as rig:
            exposing = asyncio.create_task(rig.truth())
            await asyncio.sleep(0.45)
            await rig.mount.pulse_guide(Direction.NORTH, 1.0)
            assert (await exposing).dec_arcsec == pytest.approx(RATE / 2, rel=0.001)

    virtual_time.run(main())


def test_backlash_swallows_a_reversal():
    async def main() -> None:
        setup = replace(QUIET, mount=replace(STILL_MOUNT, backlash_dec_arcsec=3.0))
        async with Rig(setup) as rig:
            moves = [(Direction.NORTH, 1.0), (Direction.SOUTH, 0.4), (Direction.SOUTH, 0.4), (Direction.NORTH, 0.2)]
            seen = []
            for direction, duration_s in moves:
                await rig.mount.pulse_guide(direction, duration_s)
                seen.append((await rig.truth()).dec_arcsec)
            assert seen == pytest.approx([6.0, 6.0, 3.0, 3.0], abs=0.002)
            await rig.mount.pulse_guide(Direction.EAST, 1.0)
            assert (await rig.truth()).ra_arcsec == pytest.approx(RATE * COS_DEC, abs=0.01)

    virtual_time.run(main())


def test_true_guide_rates_differ_a_little_from_the_nominal_ones():
    async def moved(seed: int) -> float:
        world = World(replace(QUIET, mount=replace(STILL_MOUNT, guide_rate_error=0.05)), seed)
        async with SimulatedMount(world) as mount:
            await mount.pulse_guide(Direction.NORTH, 1.0)
            return world.field(now(), now() + 1).dec_arcsec

    rates = [virtual_time.run(moved(seed)) for seed in range(10)]
    assert len(set(rates)) == 10
    assert all(0.95 * RATE <= rate <= 1.05 * RATE for rate in rates)


def test_impossible_pulses_are_refused():
    async def main() -> None:
        async with Rig() as rig:
            for duration_s in (-1.0, math.nan, math.inf, 11.0):
                with pytest.raises(ValueError, match="allowed: 0 to 10 s"):
                    await rig.mount.pulse_guide(Direction.WEST, duration_s)
            assert (await rig.truth()).ra_arcsec == pytest.approx(0.0, abs=1e-6)

    virtual_time.run(main())


def test_a_slew_takes_time_and_shows_another_field():
    async def main() -> None:
        async with open_camera("sim://", context) as camera, open_mount("sim://", context) as mount:
            await camera.configure(CameraSettings(exposure_s=0.5))
            before = await camera.expose()
            hot = before.data > np.percentile(before.data, 99.9)
            slewing = asyncio.create_task(mount.slew(132.0, -5.0))
            await asyncio.sleep(3)
            assert (await mount.state()).slewing
            for forbidden in (mount.pulse_guide(Direction.EAST, 0.1), mount.slew(0, 0), mount.sync(0, 0)):
                with pytest.raises(DeviceBusy, match="is slewing"):
                    await forbidden
            smeared = await camera.expose()
            assert np.median(smeared.data[hot]) < np.median(before.data[hot]) / 1.2
            await slewing
            assert now() == pytest.approx(0.55 + 35 / 3 + 1)
            state = await mount.state()
            assert not state.slewing
            assert (state.ra_deg, state.dec_deg) == pytest.approx((132.0, -5.0))
            after = await camera.expose()
            assert after.facts.ra_deg == pytest.approx(132.0, abs=0.01)
            assert after.facts.dec_deg == pytest.approx(-5.0, abs=0.01)
            truth = camera.truth(after)
            assert truth is not None
            assert abs(truth.dec_arcsec) < 5  # the mount's own errors, but not the slew

    context = DeviceContext(seed=1)
    virtual_time.run(main())


def test_a_slew_takes_the_short_way_round():
    async def main() -> None:
        async with Rig(replace(QUIET, ra_deg=359.0)) as rig:
            await rig.mount.slew(2.0, 30.0)
            assert now() == pytest.approx(2.0)
            assert (await rig.mount.state()).ra_deg == pytest.approx(2.0)
            image = await rig.camera.expose()
            assert image.facts.ra_deg == pytest.approx(2.0)

    virtual_time.run(main())


@pytest.mark.parametrize("how", ["cancel", "stop"])
def test_a_slew_that_is_stopped_stays_where_it_is(how):
    async def main() -> None:
        async with Rig() as rig:
            slewing = asyncio.create_task(rig.mount.slew(120.0, 60.0))
            await asyncio.sleep(5)
            if how == "cancel":
                slewing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await slewing
            else:
                await rig.mount.stop()
                with pytest.raises(DeviceError, match="was stopped"):
                    await slewing
            state = await rig.mount.state()
            assert state.dec_deg == pytest.approx(45.0)
            assert not state.slewing
            assert (await rig.truth()).dec_arcsec == pytest.approx(0.0, abs=1e-6)

    virtual_time.run(main())


def test_sync_changes_what_the_mount_says_and_not_where_it_points():
    async def main() -> None:
        async with Rig() as rig:
            await rig.mount.sync(121.0, 31.0)
            state = await rig.mount.state()
            assert (state.ra_deg, state.dec_deg) == pytest.approx((121.0, 31.0))
            facts = (await rig.camera.expose()).facts
            assert (facts.ra_deg, facts.tel_ra_deg) == pytest.approx((120.0, 121.0))
            await rig.mount.slew(125.0, 35.0)
            facts = (await rig.camera.expose()).facts
            assert (facts.ra_deg, facts.dec_deg) == pytest.approx((124.0, 34.0))

    virtual_time.run(main())


def test_without_tracking_the_sky_drifts():
    async def main() -> None:
        async with Rig(exposure_s=1.0) as rig:
            await rig.mount.set_tracking(False)
            assert not (await rig.mount.state()).tracking
            first, second = await rig.truth(), await rig.truth()
            assert (second.ra_arcsec - first.ra_arcsec) / 1.05 == pytest.approx(15.041 * COS_DEC, rel=1e-3)
            await rig.mount.set_tracking(True)
            third, fourth = await rig.truth(), await rig.truth()
            assert fourth.ra_arcsec == pytest.approx(third.ra_arcsec)

    virtual_time.run(main())


def test_a_parked_mount_stays():
    async def main() -> None:
        async with Rig() as rig:
            await rig.mount.park()
            state = await rig.mount.state()
            assert state.parked
            assert not state.tracking
            assert state.dec_deg == pytest.approx(90.0)
            began = now()
            await rig.mount.park()
            assert now() == began
            for forbidden in (
                rig.mount.pulse_guide(Direction.EAST, 0.1),
                rig.mount.slew(0, 0),
                rig.mount.set_tracking(True),
            ):
                with pytest.raises(DeviceBusy, match="is parked"):
                    await forbidden
            await rig.mount.unpark()
            await rig.mount.slew(100.0, 20.0)
            assert (await rig.mount.state()).tracking

    virtual_time.run(main())


def test_nothing_works_before_connecting():
    async def main() -> None:
        mount = open_mount("sim://", DeviceContext())
        for call in (mount.state(), mount.pulse_guide(Direction.EAST, 1), mount.park(), mount.stop()):
            with pytest.raises(DeviceError, match="not connected"):
                await call
        await mount.close()

    virtual_time.run(main())


def test_bad_coordinates_are_refused():
    async def main() -> None:
        async with Rig() as rig:
            with pytest.raises(ValueError, match="declination is 91"):
                await rig.mount.slew(0, 91)
            with pytest.raises(ValueError, match="right ascension is nan"):
                await rig.mount.sync(math.nan, 0)

    virtual_time.run(main())
