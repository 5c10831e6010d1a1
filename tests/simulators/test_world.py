"""The simulated world: stable stars, processes that do not care when they are asked, one seed."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs import QUIET

from acquisition import virtual_time
from acquisition.devices import DeviceContext, open_camera, open_mount
from acquisition.errors import ConfigError
from simulators import optics
from simulators.atmosphere import Tilt
from simulators.disturbance import Disturbance
from simulators.mechanics import Motor
from simulators.pointing import airmass, hour_angle_deg
from simulators.process import Process
from simulators.setup import AirSpec, MountSpec, OpticsSpec, Setup
from simulators.shared_world import shared_world
from simulators.sky import Sky, tangent_plane_arcsec
from simulators.streams import Subject
from simulators.world import World


def test_stars_stay_where_they_are_on_the_sky():
    def as_set(stars, ra, dec, radius):
        east, north, front = tangent_plane_arcsec(stars, ra, dec)
        near = front & (np.hypot(east, north) < radius * 3600)
        return {(round(a, 9), round(d, 9)) for a, d in zip(stars.ra_deg[near], stars.dec_deg[near], strict=True)}

    for ra, dec in ((120.0, 30.0), (0.1, -20.0), (359.9, 70.0), (10.0, 89.5), (77.0, -89.9), (200.0, 0.0)):
        here = as_set(Sky(1, 12.0).around(ra, dec, 1.0), ra, dec, 1.0)
        assert len(here) > 50
        beside = as_set(Sky(1, 12.0).around(ra + 0.3, max(dec - 0.5, -90), 2.5), ra, dec, 1.0)
        assert here == beside
        assert here != as_set(Sky(2, 12.0).around(ra, dec, 1.0), ra, dec, 1.0)


def test_star_counts_rise_with_magnitude_as_in_the_sky():
    stars = Sky(3, 14.0).around(120.0, 20.0, 5.0)
    counts = [np.sum(stars.mag < mag) for mag in (10, 11, 12, 13, 14)]
    ratios = np.array(counts[1:]) / counts[:-1]
    assert np.all((ratios > 1.8) & (ratios < 3.5))
    assert stars.mag.max() <= 14.0


def test_the_tangent_plane_agrees_with_astropy():
    from astropy.wcs import WCS

    stars = Sky(1, 10.0).around(33.0, 65.0, 3.0)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [33.0, 65.0]
    wcs.wcs.crpix = [1, 1]
    wcs.wcs.cdelt = [1 / 3600, 1 / 3600]
    expected = wcs.all_world2pix(np.column_stack([stars.ra_deg, stars.dec_deg]), 0)
    east, north, front = tangent_plane_arcsec(stars, 33.0, 65.0)
    assert front.all()
    assert np.column_stack([east, north]) == pytest.approx(expected, abs=1e-5)


def random_walk(random, state, steps):
    positions = state[0] + np.concatenate([[0.0], np.cumsum(random.standard_normal(steps))])
    return positions[:-1], positions[-1:]


@given(st.lists(st.floats(0, 60_000), min_size=1, max_size=20))
@settings(max_examples=25)
def test_a_process_does_not_care_when_it_is_asked(times):
    whole = Process(5, Subject.WANDER_RA, 0.5, np.zeros(1), random_walk)
    asked = np.array(sorted(times))
    together = whole.at(asked)
    apart = Process(5, Subject.WANDER_RA, 0.5, np.zeros(1), random_walk)
    assert [float(apart.at(np.array([time]))[0]) for time in times] == [
        float(together[np.searchsorted(asked, time)]) for time in times
    ]


def test_a_mounts_error_begins_at_zero_and_repeats_with_its_worm():
    spec = MountSpec(
        gears=(),
        drift_ra_arcsec_per_min=0.0,
        wander_arcsec_per_sqrt_s=(0.0, 0.0),
        wander_rate_arcsec_per_s=(0.0, 0.0),
    )
    times = np.linspace(0, spec.worm_period_s, 500)
    ra, dec = Disturbance(spec, 1).at(times, times)
    again, _ = Disturbance(spec, 1).at(*[times + 3 * spec.worm_period_s] * 2)
    assert ra[0] == 0
    assert dec[0] == 0
    assert again == pytest.approx(ra, abs=1e-9)
    assert 15 < np.ptp(ra) < 45
    assert dec[-1] == pytest.approx(1.5 * spec.worm_period_s / 60)


def test_wander_spreads_as_it_should():
    spec = MountSpec(
        worm_amplitude_arcsec=0.0, gears=(), drift_ra_arcsec_per_min=0.0, wander_rate_arcsec_per_s=(0.0, 0.0)
    )
    ends = [Disturbance(spec, seed).at(*[np.array([400.0])] * 2)[0][0] for seed in range(300)]
    assert np.std(ends) == pytest.approx(0.015 * 20, rel=0.15)


def test_tilt_has_its_variance_and_is_correlated_in_time():
    tilt = Tilt(AirSpec(), 0.06, seed=1)
    times = np.arange(0, 2000, 0.02)
    x, y = tilt.at(times)
    for axis in (x, y):
        assert axis.var() == pytest.approx(tilt.variance_arcsec2, rel=0.1)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.05
    seconds = x.reshape(-1, 50).mean(axis=1)
    assert 0.02 < seconds.var() / x.var() < 0.5  # averaged, but far less than white noise would be (1/50)


def test_tilt_spectrum_falls_with_two_thirds_below_the_corner():
    air = AirSpec(layers=(replace(AirSpec().layers[0], share=1.0, outer_scale_m=1e4),))
    times = np.arange(0, 4096 * 0.02 * 8, 0.02)
    power = np.zeros(4096 * 8 // 2 + 1)
    for seed in range(20):
        power += np.abs(np.fft.rfft(Tilt(air, 0.06, seed).at(times)[0])) ** 2
    frequency = np.fft.rfftfreq(len(times), 0.02)
    band = (frequency > 0.05) & (frequency < 5)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1, w=1 / np.sqrt(frequency[band]))[0]
    assert slope == pytest.approx(-2 / 3, abs=0.15)


def test_north_is_up_and_east_left_without_rotation():
    straight = optics.cd_deg_per_px(OpticsSpec(rotation_deg=0.0), 3.75) * 3600
    assert straight == pytest.approx(np.array([[-3.2228, 0], [0, 3.2228]]), abs=1e-3)
    turned = optics.cd_deg_per_px(OpticsSpec(rotation_deg=90.0), 3.75) * 3600
    assert turned == pytest.approx(np.array([[0, 3.2228], [3.2228, 0]]), abs=1e-3)
    mirrored = optics.cd_deg_per_px(OpticsSpec(rotation_deg=23.0, mirrored=True), 3.75)
    assert np.linalg.det(mirrored) > 0 > np.linalg.det(turned)


def test_backlash_is_a_play_operator():
    motor = Motor(play_arcsec=3.0)
    motor.set_rate(0.0, 7.5)  # out by 7.5, of which 1.5 takes up the slack
    motor.set_rate(1.0, -7.5)  # back by 6.75: 3 of slack first
    motor.set_rate(1.9, 0.0)
    motor.set_rate(5.0, 7.5)
    times = np.array([0.0, 0.1, 0.2, 0.6, 1.0, 1.2, 1.4, 1.65, 1.9, 4.0, 5.4, 5.5])
    expected = [0.0, 0.0, 0.0, 3.0, 6.0, 6.0, 6.0, 4.125, 2.25, 2.25, 2.25, 3.0]
    assert motor.at(times) == pytest.approx(expected)
    assert [float(motor.at(np.array([time]))[0]) for time in times] == pytest.approx(expected)


def test_a_motor_forgets_what_is_long_past_and_nothing_else():
    motor, position = Motor(), 0.0
    for pulse in range(3000):
        motor.set_rate(4.0 * pulse, 1.0)
        motor.set_rate(4.0 * pulse + 1, 0.0)
        position += 1.0
    assert motor.at(np.array([11_000.0, 13_000.0])) == pytest.approx([2750.0, position])
    assert len(motor._knots) < 4100


def test_hour_angle_and_airmass():
    # Greenwich mean sidereal time at 0h UT of 1987 April 10 (Meeus, example 12.a): 13h 10m 46.3668s
    midnight = datetime(1987, 4, 10, tzinfo=UTC)
    sidereal = 15 * (13 + 10 / 60 + 46.3668 / 3600)
    assert hour_angle_deg(midnight, 0.0, 0.0) == pytest.approx(sidereal - 360, abs=1e-3)
    assert hour_angle_deg(midnight, 15.0, sidereal) == pytest.approx(15.0, abs=1e-3)
    assert airmass(0.0, 40.0, 40.0) == pytest.approx(1.0, abs=1e-3)
    assert airmass(0.0, -20.0, 40.0) == pytest.approx(2.0, abs=0.01)
    assert airmass(180.0, 0.0, 40.0) is None


def test_a_field_is_the_same_whenever_it_is_asked_for():
    early = World(Setup(), 4)
    first, second = early.field(100.0, 102.0), early.field(5000.0, 5002.0)
    late = World(Setup(), 4)
    assert np.array_equal(late.field(5000.0, 5002.0).path, second.path)
    assert np.array_equal(late.field(100.0, 102.0).path, first.path)
    assert np.array_equal(late.field(100.0, 102.0).x, first.x)


def test_a_world_that_begins_beyond_the_meridian_sees_the_sky_turned():
    """A camera is screwed on once: what was calibrated west of the pier is turned by 180 degrees east of it."""

    async def field(ra_deg):
        world = World(replace(Setup(), ra_deg=ra_deg), 4)
        now_s = world.now_s()
        return world.hour_angle_deg(now_s, ra_deg) > 0, np.array(world.field(0.0, 1.0).cd_deg_per_px)

    (beyond, turned), (before, upright) = (virtual_time.run(field(ra_deg)) for ra_deg in (83.0, 83.0 + 180.0))
    if before:
        (beyond, turned), (before, upright) = (before, upright), (beyond, turned)
    assert (beyond, before) == (True, False)
    assert turned == pytest.approx(-upright, rel=1e-3, abs=1e-7)


def test_a_change_to_one_subject_leaves_the_others_alone():
    plain = World(QUIET, 4).field(10.0, 12.0)
    windy = World(replace(QUIET, air=AirSpec()), 4).field(10.0, 12.0)
    assert np.array_equal(plain.x, windy.x)
    assert not np.array_equal(plain.path, windy.path)


def opened(url, context, kind=open_camera):
    return kind(url, context)


@pytest.mark.parametrize(
    ("seed", "url", "message"),
    [
        (1, "sim://?seed=2", "seed is 2 .* and 1 for the whole run"),
        (None, "sim://?seed=-1", "a whole number"),
        (None, "sim://?seed=1.5", "a whole number"),
        (
            None,
            "sim://?sed=1",
            "unknown option 'sed'.*allowed: disturbance, hang_after, scenario",
        ),
        (None, "sim://?hang_after=soon", "hang_after is 'soon'"),
    ],
)
def test_wrong_options_are_config_errors(seed, url, message):
    with pytest.raises(ConfigError, match=message):
        opened(url, DeviceContext(seed=seed))


def test_two_seeds_for_one_world_are_a_config_error():
    context = DeviceContext()
    opened("sim://?seed=5", context)
    opened("sim://", context, open_mount)
    opened("sim://?seed=5", context, open_mount)
    opened("sim://?seed=6&world=another", context, open_mount)
    with pytest.raises(ConfigError, match="has seed 5"):
        opened("sim://?seed=6", context, open_mount)


def test_worlds_are_shared_by_name():
    context = DeviceContext()
    from acquisition.devices import DeviceUrl

    here, there = DeviceUrl.parse("sim://"), DeviceUrl.parse("sim://?world=b")
    assert shared_world(here, context) is shared_world(here, context)
    assert shared_world(here, context) is not shared_world(there, context)
    assert shared_world(here, DeviceContext()) is not shared_world(here, context)


def test_a_sky_without_end_is_refused():
    with pytest.raises(ValueError, match="faintest magnitude is 25"):
        Sky(1, 25.0)


def test_seeing_is_split_into_width_and_motion():
    """The long exposure has the width of seeing, diffraction and blur together."""
    world = World(replace(Setup(), optics=OpticsSpec(halo_share=0.0)), 1)
    core = (world.sigma_px * world.scale_arcsec_per_px) ** 2 + world.tilt.variance_arcsec2
    fwhm = optics.FWHM_PER_SIGMA * math.sqrt(core)
    diffraction = optics.diffraction_fwhm_arcsec(OpticsSpec())
    assert fwhm == pytest.approx(math.hypot(2.5, diffraction, 5.5))
