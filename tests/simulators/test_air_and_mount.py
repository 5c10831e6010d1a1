"""Statistics of air and mount against the laws that they are said to follow."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from rigs import QUIET, STILL_MOUNT
from scipy.integrate import quad

from simulators.atmosphere import (
    TWINKLE_S,
    HighTilt,
    Night,
    Tilt,
    TiltSpectrum,
    fried_parameter_m,
    scintillation_sigma,
    seeing_fwhm_arcsec,
    tilt_variance_arcsec2,
    twinkle,
)
from simulators.disturbance import Disturbance, Wind
from simulators.faults import Fault, Faults
from simulators.mechanics import Motor
from simulators.pointing import airmass, hour_angle_deg, refraction_arcsec, slow_error
from simulators.scenario import load_scenario, preset
from simulators.setup import AirSpec, Gear, Layer, MountSpec, Setup, Site
from simulators.world import World


def power_spectrum(values: np.ndarray, step_s: float, segment: int) -> tuple[np.ndarray, np.ndarray]:
    """Welch's estimate with a Hann window, one-sided."""
    from scipy.signal import welch

    return welch(values, 1 / step_s, nperseg=segment)


def slope(frequency: np.ndarray, power: np.ndarray, low: float, high: float) -> float:
    band = (frequency > low) & (frequency < high)
    edges = np.geomspace(low, high, 12)
    where = np.digitize(frequency[band], edges)
    points = [(np.log(frequency[band][where == k]).mean(), np.log(power[band][where == k].mean())) for k in set(where)]
    return float(np.polyfit(*np.array(points).T, 1)[0])


def test_tilt_falls_with_two_thirds_and_then_with_eleven_thirds():
    layer = Layer(1.0, 5.0, 5000.0)
    aperture_m = 1.5  # the knee is at 1 Hz, well below half the sampling rate
    times = np.arange(0, 6000, 0.02)
    powers = []
    for seed in (1, 2):
        for axis in Tilt(AirSpec(layers=(layer,)), aperture_m, seed).at(times):
            frequency, power = power_spectrum(axis, 0.02, 16384)
            powers.append(power)
    mean = np.mean(powers, axis=0)
    assert slope(frequency, mean, 0.02, 0.3) == pytest.approx(-2 / 3, abs=0.15)
    assert slope(frequency, mean, 3.0, 15.0) == pytest.approx(-11 / 3, abs=0.15)


@pytest.mark.parametrize("aperture_m", [0.06, 0.3])
def test_tilt_has_the_variance_of_aperture_seeing_and_outer_scale(aperture_m):
    """Against the spectrum's own integral by quadrature, and Sasiela's constant for an infinite outer scale."""
    air = AirSpec(layers=(Layer(0.7, 8.0, 20.0), Layer(0.3, 20.0, 50.0)))
    whole = tilt_variance_arcsec2(aperture_m, fried_parameter_m(2.5))
    expected = 0.0
    for layer in air.layers:
        knee, outer = 0.3 * layer.wind_m_per_s / aperture_m, layer.wind_m_per_s / layer.outer_scale_m

        def shape(u: float, outer: float, knee: float = knee) -> float:
            f = math.exp(u)
            return f * (f * f + outer * outer) ** (-1 / 3) * (1 + (f / knee) ** 2) ** -1.5

        finite, infinite = (quad(shape, -30, 12, args=(f0,), limit=400)[0] for f0 in (outer, 0.0))
        expected += layer.share * whole * finite / infinite
    times = np.arange(0, 8000, 0.02)
    measured = np.mean([axis.var() for seed in (1, 2) for axis in Tilt(air, aperture_m, seed).at(times)])
    assert measured == pytest.approx(expected, rel=0.05)
    assert expected < whole
    assert tilt_variance_arcsec2(0.1, 0.1) == pytest.approx(0.17 * (5e-7 / 0.1 * 206264.8) ** 2, rel=1e-4)


def test_stars_lose_each_others_tilt_with_separation():
    """Correlation exp(-(s/θ)²), θ = 0.3 D/h; the mean over an exposure is less than the instant's."""
    air = AirSpec(layers=(Layer(1.0, 10.0, 25.0, 2000.0),))
    isokinetic_arcsec = 0.3 * 0.2 / 2000 * 206264.8
    separation = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 10.0]) * isokinetic_arcsec
    pairs = []
    for seed in range(12):
        tilt = HighTilt(air, 0.2, seed)
        for time_s in np.arange(0, 4000, 20.0):
            pairs += [np.array(axis) for axis in tilt.mean(separation, 0.3 * separation, time_s, time_s + 1e-6)]
    values = np.array(pairs)
    assert values.var() == pytest.approx(tilt.variance_arcsec2, rel=0.07)
    measured = (values * values[:, :1]).mean(axis=0) / (values**2).mean()
    away = separation * math.hypot(1, 0.3) / isokinetic_arcsec
    assert measured == pytest.approx(np.exp(-(away**2)), abs=0.08)
    exposed = np.array([tilt.mean(separation[:1], separation[:1], t, t + 2.0)[0][0] for t in np.arange(0, 8000, 10.0)])
    assert exposed.var() == pytest.approx(tilt.variance_arcsec2 - tilt.blur_arcsec2(2.0), rel=0.2)


def test_differential_tilt_moves_stars_against_each_other_in_the_field():
    layers = (Layer(0.5, 4.0, 20.0), Layer(0.5, 10.0, 25.0, 5000.0))
    world = World(replace(QUIET, air=AirSpec(layers=layers)), 1)
    still = World(replace(QUIET, air=replace(world.setup.air, layers=layers[:1])), 1)
    one, other = world.field(5.0, 7.0), still.field(5.0, 7.0)
    apart = np.array([one.x - other.x, one.y - other.y]) * world.scale_arcsec_per_px
    assert np.allclose(one.path[:, :2], other.path[:, :2], atol=0.02)
    expected = world.high_tilt.variance_arcsec2 - world.high_tilt.blur_arcsec2(2.0)
    assert apart.var() == pytest.approx(expected, rel=0.6)
    assert abs(apart.mean()) < 3 * math.sqrt(expected / apart.shape[1])


def test_seeing_goes_with_wavelength_and_airmass():
    assert seeing_fwhm_arcsec(2.0, 500, 1.0) == 2.0
    assert seeing_fwhm_arcsec(2.0, 1000, 1.0) == pytest.approx(2 * 2**-0.2)
    assert seeing_fwhm_arcsec(2.0, 500, 2.0) == pytest.approx(2 * 2**0.6)
    low = replace(QUIET, air=AirSpec(follows_airmass=True, seeing_fwhm_arcsec=4.0), ra_deg=60.0, dec_deg=-10.0)
    fixed = replace(low, air=replace(low.air, follows_airmass=False))
    assert World(low, 1).field(0.0, 2.0).sigma_px > 1.2 * World(fixed, 1).field(0.0, 2.0).sigma_px


def test_seeing_wanders_log_normally():
    night = Night(AirSpec(seeing_wander=0.2, seeing_wander_time_s=300.0), 3)
    factors = np.log([night.seeing_factor(t) for t in np.arange(0, 3e5, 100.0)])
    assert factors.std() == pytest.approx(0.2, rel=0.1)
    lag = np.corrcoef(factors[3:], factors[:-3])[0, 1]
    assert lag == pytest.approx(math.exp(-1), abs=0.08)


def test_scintillation_is_youngs():
    assert scintillation_sigma(0.1, 1.0, 0.0, 0.5) == pytest.approx(0.09 * 10 ** (-2 / 3))
    stars = np.arange(1, 6001, dtype=np.uint64) * np.uint64(0x1234567)
    for exposure_s in (0.5, 2.0, 8.05):
        sigma = scintillation_sigma(0.06, 1.5, 500.0, TWINKLE_S)
        flux = twinkle(stars, 1, sigma, 3.0, 3.0 + exposure_s)
        assert flux.mean() == pytest.approx(1.0, abs=5 * sigma / math.sqrt(6000))
        assert flux.std() == pytest.approx(scintillation_sigma(0.06, 1.5, 500.0, exposure_s), rel=0.05)
    halves = [twinkle(stars, 1, 0.1, start, start + 1.0) for start in (3.0, 4.0)]
    assert twinkle(stars, 1, 0.1, 3.0, 5.0) == pytest.approx((halves[0] + halves[1]) / 2, rel=1e-12)


def test_extinction_and_clouds_take_light():
    setup = replace(QUIET, air=replace(QUIET.air, extinction_mag_per_airmass=0.3))
    clear, dim = World(QUIET, 1).field(0, 2).flux_e_per_s, World(setup, 1).field(0, 2).flux_e_per_s
    assert dim / clear == pytest.approx(10 ** (-0.4 * 0.3))
    cloudy = Night(AirSpec(cloud_mag=0.5, cloud_sigma=0.6, cloud_time_s=100.0), 2)
    depth = np.log(cloudy.cloud_mag(np.arange(0, 2e5, 25.0)))
    assert depth.mean() == pytest.approx(math.log(0.5), abs=0.1)
    assert depth.std() == pytest.approx(0.6, rel=0.1)
    assert np.corrcoef(depth[4:], depth[:-4])[0, 1] == pytest.approx(math.exp(-1), abs=0.08)


def test_frame_jitter_moves_whole_frames_by_what_was_asked():
    world = World(replace(QUIET, air=replace(QUIET.air, frame_jitter_arcsec=0.5)), 1)
    paths = np.array([world.field(10.0 * n, 10.0 * n + 2).path[0, :2] for n in range(300)]) * world.scale_arcsec_per_px
    assert paths.std(axis=0) == pytest.approx([0.5, 0.5], rel=0.15)
    assert world.field(20.0, 22.0).ra_arcsec == pytest.approx(0.0, abs=1e-6)  # it is noise, not truth


BARE = replace(STILL_MOUNT, worm_amplitude_arcsec=5.0, worm_harmonics=3)


def test_worm_and_gears_are_in_the_periodogram():
    spec = replace(BARE, worm_period_s=480.0, worm_harmonics=3, gears=(Gear(122.0, 1.3),))
    disturbance = Disturbance(spec, 5)
    times = np.arange(0, 480 * 122, 4.0)  # a whole number of turns of either
    ra, _ = disturbance.at(times, times)
    spectrum = np.abs(np.fft.rfft(ra)) * 2 / len(times)
    frequency = np.fft.rfftfreq(len(times), 4.0)
    for period, amplitude in zip(disturbance.periods_s, disturbance.amplitudes_arcsec, strict=True):
        nearest = np.argmin(np.abs(frequency - 1 / period))
        assert frequency[nearest] == pytest.approx(1 / period, rel=1e-9)
        assert spectrum[nearest] == pytest.approx(amplitude, rel=0.01)
    assert disturbance.periods_s == pytest.approx([480, 240, 160, 122])
    assert disturbance.amplitudes_arcsec[0] == 5.0


def test_a_strain_wave_mount_has_its_second_harmonic():
    disturbance = Disturbance(preset("mount", "strain-wave"), 1)
    assert disturbance.amplitudes_arcsec[:2] == pytest.approx([16.0, 6.0])
    assert len(disturbance.periods_s) == 40


def test_harmonics_wander_by_their_share_and_time():
    spec = replace(BARE, worm_harmonics=1, harmonic_wander=0.2, harmonic_wander_time_s=2500.0)
    times = np.arange(0, 1e6, 50.0)
    ra, _ = Disturbance(spec, 3).at(times, times)
    steady, _ = Disturbance(replace(spec, harmonic_wander=0.0), 3).at(times, times)
    extra = ra - steady
    phase = np.exp(-2j * math.pi * times / spec.worm_period_s)
    turns = (extra * phase)[: len(times) // 48 * 48].reshape(-1, 48).mean(axis=1) * 2  # 5 worm turns each
    assert np.abs(turns).std() > 0
    assert math.sqrt(np.mean(np.abs(turns) ** 2)) == pytest.approx(0.2 * 5, rel=0.2)


def test_worm_amplitude_and_backlash_scatter_within_their_shares():
    spec = replace(BARE, worm_amplitude_scatter=0.2, backlash_dec_arcsec=4.0, backlash_scatter=0.5)
    amplitudes = [Disturbance(spec, seed).amplitudes_arcsec[0] for seed in range(40)]
    assert 4.0 <= min(amplitudes) < 4.4
    assert 5.6 < max(amplitudes) <= 6.0
    plays = [World(replace(QUIET, mount=spec), seed).mechanics.guide_dec.play_arcsec for seed in range(20)]
    assert 2.0 <= min(plays) < 2.8
    assert 5.2 < max(plays) <= 6.0


def test_a_bump_comes_once_a_turn():
    spec = replace(STILL_MOUNT, bump_arcsec=0.8, bump_sigma_s=12.0)
    times = np.arange(0, 10 * spec.worm_period_s, 0.5)
    ra, _ = Disturbance(spec, 1).at(times, times)
    ra -= ra.min()
    peaks = times[1:-1][(ra[1:-1] >= ra[:-2]) & (ra[1:-1] > ra[2:]) & (ra[1:-1] > 0.4)]
    assert np.diff(peaks) == pytest.approx(spec.worm_period_s, abs=1.0)
    assert ra.max() == pytest.approx(0.8, abs=0.001)
    above_half = np.mean(ra > 0.4) * spec.worm_period_s
    assert above_half == pytest.approx(2.355 * 12, rel=0.05)


def test_the_worm_stands_when_the_mount_does():
    world = World(replace(QUIET, mount=BARE), 1)
    world.mechanics.track(100.0, False)
    still, later = (world.mechanics.pointing_arcsec(np.array([t]))[0][0] for t in (100.0, 220.0))
    assert later - still == pytest.approx(120 * 15.041067, abs=1e-6)  # the sky's motion and nothing else


def test_wind_has_its_strength_and_resonance():
    spec = MountSpec(wind_arcsec=0.7, wind_resonance_hz=3.0, wind_damping=0.05, wind_gust_time_s=1.0)
    times = np.arange(0, 2000, 0.02)
    for axis in Wind(spec, 1).at(times):
        assert axis.std() == pytest.approx(0.7, rel=0.05)
        frequency, power = power_spectrum(axis, 0.02, 8192)
        near = (frequency > 1.5) & (frequency < 6)
        assert frequency[near][np.argmax(power[near])] == pytest.approx(3.0, abs=0.1)
    gusty = Wind(replace(spec, wind_gustiness=0.6), 1).at(np.arange(0, 18000, 0.1))[0]
    assert gusty.std() == pytest.approx(0.7, rel=0.25)
    assert gusty.reshape(-1, 600).std(axis=1).std() > 0.2


def test_stiction_sticks_and_releases():
    motor = Motor(stiction_arcsec=0.4)
    motor.set_rate(0.0, 1.0)
    times = np.array([0.2, 0.39, 0.41, 0.79, 0.81, 1.3])
    assert motor.at(times) == pytest.approx([0, 0, 0.4, 0.4, 0.8, 1.2])
    motor.set_rate(1.3, -1.0)  # the axis is at 1.2, the motor at 1.3
    assert motor.at(np.array([1.7, 1.81, 2.21])) == pytest.approx([1.2, 0.8, 0.4])


def test_play_and_stiction_together_make_their_loop():
    """Back and forth by 3": the reversal costs play and then stiction; the loop closes."""
    motor = Motor(play_arcsec=1.0, stiction_arcsec=0.25)
    ends, now = [], 0.0
    for direction in (1, -1) * 4:
        motor.set_rate(now, 3.0 * direction)
        now += 1.0
        motor.set_rate(now, 0.0)
        ends.append(float(motor.at(np.array([now]))[0]))
    assert np.ptp(ends[2::2]) < 1e-9
    assert np.ptp(ends[3::2]) < 1e-9
    assert ends[2] - ends[3] == pytest.approx(2.0, abs=0.26)  # 3" less the play, to a step of stiction
    motor.set_rate(now, 3.0)
    moving = motor.at(now + np.linspace(0, 1, 2001))
    first = np.linspace(0, 3.0, 2001)[np.argmax(moving > moving[0])]
    assert 1.0 <= first <= 1.26


SITE = Site()


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def horizontal(hour_angle: float, dec: float, lat: float) -> np.ndarray:
    """(north, east, up) of a direction; radians."""
    north = math.cos(lat) * math.sin(dec) - math.sin(lat) * math.cos(dec) * math.cos(hour_angle)
    east = -math.cos(dec) * math.sin(hour_angle)
    up = math.sin(lat) * math.sin(dec) + math.cos(lat) * math.cos(dec) * math.cos(hour_angle)
    return np.array([north, east, up])


@pytest.mark.parametrize("hour_deg", [-60.0, -10.0, 35.0])
@pytest.mark.parametrize("dec_deg", [-15.0, 20.0, 65.0])
def test_polar_misalignment_drifts_as_a_tilted_axis_does(hour_deg, dec_deg):
    """Against turning vectors about a displaced pole, by finite rotation; drift and field rotation to 1 %."""
    lat, azimuth, up = math.radians(SITE.lat_deg), math.radians(5 / 60), math.radians(-3 / 60)
    setup = replace(Setup(), mount=replace(STILL_MOUNT, polar_azimuth_arcmin=5.0, polar_altitude_arcmin=-3.0))
    pole = np.array([math.cos(lat), 0.0, math.sin(lat)])
    mounts_pole = np.array(
        [math.cos(lat + up) * math.cos(azimuth), math.cos(lat + up) * math.sin(azimuth), math.sin(lat + up)]
    )
    step = math.radians(4.0)
    h, dec = math.radians(hour_deg), math.radians(dec_deg)
    start = horizontal(h, dec, lat)
    turn = -step if horizontal(h + step, dec, lat) @ rotation(pole, -step) @ start > 1 - 1e-12 else step
    there = rotation(mounts_pole, turn) @ start
    star = rotation(pole, turn) @ start
    west = np.cross(star, pole) / np.linalg.norm(np.cross(star, pole))
    if west @ (horizontal(h + 2 * step, dec, lat) - star) < 0:
        west = -west
    north = pole - (pole @ star) * star
    north /= np.linalg.norm(north)
    arcsec = 206264.8
    moved_dec, moved_ra = (there - star) @ north * arcsec, -(there - star) @ west * arcsec / math.cos(dec)
    change = slow_error(setup, hour_deg + 4.0, dec_deg) - slow_error(setup, hour_deg, dec_deg)
    scale = math.hypot(5, 3) * 60 * step
    assert change.dec_arcsec == pytest.approx(moved_dec, abs=0.01 * scale)
    assert change.ra_arcsec * math.cos(dec) == pytest.approx(moved_ra * math.cos(dec), abs=0.01 * scale)
    # the camera's north, carried along by the mount, against the sky's
    carried = rotation(mounts_pole, turn) @ ((pole - (pole @ start) * start) / math.cos(dec))
    north_there = pole - (pole @ there) * there
    east_there = np.cross(north_there / np.linalg.norm(north_there), there)
    if east_there @ west > 0:
        east_there = -east_there
    turned = math.atan2(carried @ east_there, carried @ north_there / np.linalg.norm(north_there))
    assert change.rotation_rad * arcsec == pytest.approx(turned * arcsec, abs=0.01 * scale / math.cos(dec))


def test_polar_misalignment_drifts_in_the_pictures():
    """An arcminute of altitude error, six hours from the meridian: 0.2625" a minute in declination."""
    ra_deg = (hour_angle_deg(World(QUIET, 1).began_utc, SITE.lon_deg, 0.0) + 90) % 360  # rises
    mount = replace(STILL_MOUNT, polar_altitude_arcmin=10.0)
    world = World(replace(QUIET, mount=mount, ra_deg=ra_deg, dec_deg=40.0), 1)
    assert world.hour_angle_deg(0.0, ra_deg) == pytest.approx(-90)
    first, later = world.field(0.0, 1.0), world.field(300.0, 301.0)
    assert abs(later.dec_arcsec - first.dec_arcsec) == pytest.approx(10 * 0.2625 * 5, rel=0.01)


def test_field_rotation_is_in_the_header_matrix_and_the_stars():
    mount = replace(STILL_MOUNT, polar_azimuth_arcmin=60.0, polar_altitude_arcmin=120.0)
    world = World(replace(QUIET, mount=mount, dec_deg=70.0), 1)
    first, later = world.field(0.0, 1.0), world.field(3600.0, 3601.0)
    turn = later.cd_deg_per_px @ np.linalg.inv(first.cd_deg_per_px)
    angle = math.atan2(turn[0, 1], turn[0, 0])
    assert abs(angle) > math.radians(0.3)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_refraction_drifts_towards_what_is_below():
    assert refraction_arcsec(math.radians(45), 0.0) == pytest.approx(58.3 - 0.067)
    setup = replace(QUIET, air=replace(QUIET.air, refraction=True))
    for hour_deg in (0.0, 50.0, -50.0):
        error = slow_error(setup, hour_deg, 10.0)
        assert error.dec_arcsec < 0  # north of the celestial equator's zenith distance: below is south
        assert math.copysign(1, error.ra_arcsec) == (
            math.copysign(1, -hour_deg) if hour_deg else math.copysign(1, error.ra_arcsec)
        )
        mass = airmass(hour_deg, 10.0, SITE.lat_deg)
        zenith = math.acos(min(1 / mass, 1))
        arc = math.hypot(error.dec_arcsec, error.ra_arcsec * math.cos(math.radians(10)))
        assert arc == pytest.approx(refraction_arcsec(zenith, SITE.elev_m), rel=0.01)


def test_flexure_is_a_sine_of_the_hour_angle():
    setup = replace(QUIET, mount=replace(STILL_MOUNT, flexure_arcsec=(10.0, -20.0)))
    error = slow_error(setup, 30.0, 0.0)
    assert (error.ra_arcsec, error.dec_arcsec) == pytest.approx((5.0, -10.0))


def test_the_sky_of_a_world_is_its_clocks():
    world = World(QUIET, 1)
    world.began_utc = datetime(2026, 6, 1, 22, tzinfo=UTC)
    later = world.hour_angle_deg(3600.0, 100.0)
    assert later == pytest.approx(hour_angle_deg(world.began_utc + timedelta(hours=1), SITE.lon_deg, 100.0))


def test_every_named_night_is_a_function_of_time():
    """The same when asked early or late, and in two worlds of one seed."""
    for name in ("average", "windy", "plant-f"):
        setup = load_scenario(name).setup
        one, other = World(setup, 7), World(setup, 7)
        late = other.field(900.0, 902.0)
        for start in (100.0, 900.0):
            a, b = one.field(start, start + 2), other.field(start, start + 2)
            assert np.array_equal(a.x, b.x)
            assert np.array_equal(a.path, b.path)
            assert np.array_equal(a.flux_e_per_s, b.flux_e_per_s)
        assert np.array_equal(late.path, one.field(900.0, 902.0).path)


def test_gusts_and_cables_move_the_mount_as_ordered():
    faults = Faults([Fault("gust", 10.0, amount=6.0), Fault("cable-drag", 50.0, 20.0, 4.0)], MountSpec())
    times = np.linspace(0, 100, 50001)
    ra, dec = faults.pointing_arcsec(times)
    assert np.abs(ra[times < 10]).max() == 0
    assert np.hypot(ra, dec)[times < 40].max() == pytest.approx(6.0, rel=0.001)
    assert np.hypot(ra, dec)[(times > 30) & (times < 50)].max() < 0.01
    assert dec[np.searchsorted(times, 60.0)] == pytest.approx(2.0, abs=0.01)
    assert dec[np.searchsorted(times, 69.99)] == pytest.approx(4.0, abs=0.01)
    assert dec[-1] == pytest.approx(0.0)


def test_the_spectrum_keeps_less_with_a_smaller_outer_scale():
    kept = [TiltSpectrum(Layer(1.0, 10.0, outer), 0.1).kept() for outer in (5.0, 25.0, 1e9)]
    assert kept[0] < kept[1] < kept[2]
    assert kept[2] == pytest.approx(1.0, abs=0.002)
