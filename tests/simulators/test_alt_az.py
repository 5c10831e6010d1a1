"""An alt-azimuth mount: its field turns by the parallactic angle, and frames, mount and truth say so."""

import asyncio
import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rigs import QUIET, SHARP, STILL_MOUNT

from acquisition import virtual_time
from acquisition.camera import CameraSettings
from acquisition.guiding.watched_mount import WatchedMount
from acquisition.images.processors.tangent import sky_to_pixel
from acquisition.mount import Direction, PierSide
from acquisition.virtual_time import EPOCH
from simulators.camera import SimulatedCamera
from simulators.mount import SimulatedMount
from simulators.pointing import alt_az_axes, hour_angle_deg, parallactic_rad
from simulators.setup import Setup
from simulators.world import World

MOUNT = replace(STILL_MOUNT, alt_az=True)
LAT = math.radians(QUIET.site.lat_deg)


def setup(**mount: bool) -> Setup:
    return replace(SHARP, mount=replace(MOUNT, **mount), dec_deg=40.0)


def on_sphere(longitude: float, latitude: float) -> np.ndarray:
    return np.array([
        math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude),
    ])  # fmt: skip


@given(st.floats(-1.5, 1.5), st.floats(-3.1, 3.1), st.floats(-1.5, 1.5))
def test_the_parallactic_angle_points_at_the_zenith(lat, hour_angle, dec):
    star, zenith = on_sphere(-hour_angle, dec), on_sphere(0.0, lat)  # longitude: towards east
    east = np.array([math.sin(hour_angle), math.cos(hour_angle), 0.0])
    north = np.cross(star, east)
    angle = parallactic_rad(lat, hour_angle, dec)
    across = zenith - star * (zenith @ star)
    if np.linalg.norm(across) > 1e-6:
        up = math.sin(angle) * east + math.cos(angle) * north
        assert up @ across / np.linalg.norm(across) == pytest.approx(1, abs=1e-9)


def test_turns_of_the_axes_are_arcs_on_the_sky():
    axes = alt_az_axes(48.2, np.linspace(-10.0, 10.0, 5), 40.0)
    (ra, dec), (ra_up, dec_up) = axes.to_sky(np.ones(5), np.zeros(5)), axes.to_sky(np.zeros(5), np.ones(5))
    east, east_up = ra * axes.cos_dec, ra_up * axes.cos_dec
    assert np.hypot(east, dec) == pytest.approx(axes.cos_alt)
    assert np.hypot(east_up, dec_up) == pytest.approx(1)
    assert east * east_up + dec * dec_up == pytest.approx(0, abs=1e-12)


def test_the_picture_turns_and_its_wcs_says_so():
    async def main() -> None:
        world = World(setup(), 1)
        async with SimulatedCamera(world) as camera, SimulatedMount(world) as mount:
            await camera.configure(CameraSettings(exposure_s=1.0))
            north, said = [], []
            for _ in range(3):
                frame = await camera.expose()
                wcs, truth = frame.facts.wcs, camera.truth(frame)
                assert wcs is not None
                assert truth is not None
                stars = world.sky.around(wcs.ra_deg, wcs.dec_deg, 0.12)
                places = (
                    sky_to_pixel(wcs, float(stars.ra_deg[i]), float(stars.dec_deg[i])) for i in np.argsort(stars.mag)
                )
                inside = [place for place in places if place and 10 < place[0] < 310 and 10 < place[1] < 230]
                for x, y in np.round(inside[:4]).astype(int):
                    top = frame.data[y - 6 : y + 7, x - 6 : x + 7]
                    assert np.unravel_index(int(top.argmax()), top.shape) == (pytest.approx(6, abs=1),) * 2
                    assert top.max() > 1.3 * np.median(frame.data)
                assert truth.wcs == wcs
                north.append(math.degrees(math.atan2(wcs.cd[1], wcs.cd[3])))  # position angle of the rows' way up
                state = await mount.state()
                assert state.pier_side is PierSide.UNKNOWN
                assert state.field_angle_deg is not None
                said.append(state.field_angle_deg)
                await asyncio.sleep(900.0)
            for angle, field_angle in zip(north, said, strict=True):
                assert math.remainder(angle - field_angle - QUIET.optics.rotation_deg, 360) == pytest.approx(
                    0, abs=0.05
                )
            assert said[2] - said[0] > 25

    virtual_time.run(main())


def test_pulses_of_either_kind():
    async def moved(direction: Direction, on_sky: bool) -> tuple[float, float]:
        """Arcs along the zenith's direction and across it."""
        world = World(setup(pulses_on_sky=on_sky), 1)
        async with SimulatedMount(world) as mount:
            world.now_s()
            before = world.field(0.0, 0.01)
            await mount.pulse_guide(direction, 4.0)
            now = world.now_s()
            after = world.field(now, now + 0.01)
            east = (after.ra_deg - before.ra_deg) * math.cos(math.radians(40.0)) * 3600
            north = (after.dec_deg - before.dec_deg) * 3600
            hour_angle = hour_angle_deg(EPOCH + timedelta(seconds=now), QUIET.site.lon_deg, after.ra_deg)
            q = parallactic_rad(LAT, math.radians(hour_angle), math.radians(40.0)) if not on_sky else 0.0
            assert ((await mount.state()).field_angle_deg is None) == (not on_sky)
            return north * math.cos(q) + east * math.sin(q), east * math.cos(q) - north * math.sin(q)

    for on_sky in (True, False):
        along, across = virtual_time.run(moved(Direction.NORTH, on_sky))
        assert (along, across) == (pytest.approx(30.0, abs=0.05), pytest.approx(0.0, abs=0.05))
        along, across = virtual_time.run(moved(Direction.EAST, on_sky))
        assert abs(along) < 0.05
        assert 0 < across < 30.0


def test_the_guider_reckons_the_angle_where_only_the_site_is_known():
    async def main() -> tuple[float | None, float | None]:
        world = World(setup(pulses_on_sky=False), 1)
        site = QUIET.site.lat_deg, QUIET.site.lon_deg
        async with SimulatedMount(world) as mount:
            state = await WatchedMount(mount, lambda text: None, site).state()
            axes = world.alt_az_axes(np.array([world.now_s()]))
            assert axes is not None
            return state.field_angle_deg, math.degrees(float(axes.up_rad[0]))

    reckoned, true = virtual_time.run(main())
    assert reckoned == pytest.approx(true, abs=2.5)  # the simulator's sky does not precess, and the zenith is near
