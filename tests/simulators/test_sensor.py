"""What optics and sensor do to light, measured in the frames as an observer would."""

import math
from dataclasses import replace

import numpy as np
import pytest
from rigs import CLEAN_SENSOR, DARK_SKY, QUIET, STILL_MOUNT

from acquisition import virtual_time
from acquisition.camera import CameraSettings, Roi
from simulators import sensor as chip
from simulators.camera import SimulatedCamera
from simulators.frame import render
from simulators.psf import moffat_parts, psf_parts
from simulators.render import NO_MAP, Ground, spill
from simulators.scenario import load_scenario, presets
from simulators.setup import OpticsSpec, SensorSpec, Setup, SkySpec
from simulators.starlight import add_stars
from simulators.streams import Subject, key, key_of
from simulators.world import World

NO_STARS = SkySpec(faintest_mag=4.01, background_mag_per_arcsec2=18.0)
BLACK_SKY = SkySpec(faintest_mag=4.01, background_mag_per_arcsec2=35.0)
PLAIN_OPTICS = OpticsSpec(halo_share=0.0)
NOISY = SensorSpec(width_px=320, height_px=240, hot_share=0.0, dark_e_per_s=0.0)


def frame(world: World, exposure_s: float, number: int = 1, temp_c: float = 10.0, **settings: object) -> np.ndarray:
    asked = CameraSettings(exposure_s, gain=0.0, offset=8.0, **settings)  # type: ignore[arg-type]
    field = world.field(0.0, exposure_s)
    return render(world, asked, field, temp_c, key_of(key(world.seed, Subject.NOISE, 0), number))


def rig(sensor: SensorSpec, optics: OpticsSpec = PLAIN_OPTICS, sky: SkySpec = NO_STARS) -> World:
    return World(replace(QUIET, sensor=sensor, optics=optics, sky=sky), 3)


UNEVEN = {
    "even": NOISY,
    "structured": replace(NOISY, prnu=0.01, bias_columns_adc=1.0, glow_e_per_s=0.5, row_noise_adc=0.0),
    "preset": replace(
        presets("camera")["asi290mm-mini"], width_px=320, height_px=240, hot_share=0.0, row_noise_adc=0.0
    ),
}


@pytest.mark.parametrize("name", list(UNEVEN))
def test_photon_transfer_gives_gain_read_noise_and_full_well(name):
    """Variance of differences against mean, over the whole range, within 2 %."""
    spec = UNEVEN[name]
    world = rig(spec)
    e_per_adu, read_noise_e = chip.egain_e_per_adu(spec, 0.0, 1, 16), chip.read_noise_e(spec, 0.0)
    e_per_s = world.sky_e_per_s_px
    means, variances = [], []
    n_pairs = 3
    for number, level in enumerate((1e-6, 0.05, 0.2, 0.4, 0.6)):
        exposure_s = level * spec.full_well_e / e_per_s
        for pair in range(n_pairs):
            a, b = (frame(world, exposure_s, 20 * number + 2 * pair + k).astype(float) for k in (0, 1))
            means.append((a.mean() + b.mean()) / 2)
            variances.append(np.var(a - b) / 2 - 16**2 / 12)  # less the converter's steps
    zero = np.mean(means[:n_pairs])
    read_adu2 = np.mean(variances[:n_pairs])
    slopes = (np.array(variances[n_pairs:]) - read_adu2) / (np.array(means[n_pairs:]) - zero)
    assert 1 / slopes.mean() == pytest.approx(e_per_adu, rel=0.02)
    assert math.sqrt(read_adu2) * e_per_adu == pytest.approx(read_noise_e, rel=0.02)
    full = frame(world, 3 * spec.full_well_e / e_per_s).astype(float)
    at_most = min(spec.full_well_e, (65520 - zero) * e_per_adu)
    assert (np.median(full) - zero) * e_per_adu == pytest.approx(at_most, rel=0.02)


@pytest.mark.parametrize("doubling_c", [6.0, 7.5])
def test_dark_current_doubles_with_its_step(doubling_c):
    world = rig(replace(NOISY, dark_e_per_s=2.0, dark_doubling_c=doubling_c), sky=BLACK_SKY)
    dark = [
        frame(world, 200.0, temp_c=temp).mean() - frame(world, 0.0001, temp_c=temp).mean()
        for temp in (8, 8 + doubling_c)
    ]
    assert dark[1] / dark[0] == pytest.approx(2.0, rel=0.02)


def centroid(image: np.ndarray, x: float, y: float) -> tuple[float, float]:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    total = image.sum(dtype=float)
    return float((image * columns).sum() / total - x), float((image * rows).sum() / total - y)


@pytest.mark.parametrize(("fwhm_px", "limit_px"), [(1.2, 0.005), (2.0, 0.002), (3.5, 0.002)])
@pytest.mark.parametrize("shape", ["gaussian", "halo", "moffat", "defocused"])
def test_a_star_is_where_it_was_put(fwhm_px, limit_px, shape):
    optics = {
        "gaussian": PLAIN_OPTICS,
        "halo": OpticsSpec(),
        "moffat": OpticsSpec(moffat_beta=3.5),
        "defocused": OpticsSpec(halo_share=0.0, defocus_arcsec=6.0, obstruction=0.3),
    }[shape]
    sigma_px, random, errors = fwhm_px / 2.3548, np.random.default_rng(1), []
    parts = psf_parts(optics, sigma_px, 1.0)
    still = np.array([[0.0, 0.0, 1.0, 0.0, 0.0]])
    for x, y in random.uniform(60, 61, (40, 2)):
        image = np.zeros((121, 121), np.float32)
        add_stars(image, 0, 0, np.array([x]), np.array([y]), np.array([1e6]), still, sigma_px, parts)
        assert image.sum() == pytest.approx(1e6, rel=2e-3)
        errors.append(centroid(image, x, y))
    assert np.sqrt(np.mean(np.square(errors), axis=0)).max() < limit_px


@pytest.mark.parametrize("beta", [2.5, 3.5, 5.0])
def test_a_moffat_star_has_moffats_profile(beta):
    parts, r = moffat_parts(beta), np.linspace(0, 8, 200)
    ours = sum(share / (2 * math.pi * var) * np.exp(-(r**2) / (2 * var)) for share, var in parts)
    alpha2 = 2 * math.log(2) / (2 ** (1 / beta) - 1)
    theirs = (beta - 1) / (math.pi * alpha2) * (1 + r**2 / alpha2) ** -beta
    assert parts[:, 0].sum() == pytest.approx(1)
    assert np.abs(ours - theirs).max() < 0.01 * theirs[0]
    wings = r < 4
    assert np.abs(ours / theirs - 1)[wings].max() < 0.12


def test_a_defocused_star_is_a_ring():
    optics = OpticsSpec(halo_share=0.0, defocus_arcsec=20.0, obstruction=0.4)
    image = np.zeros((61, 61), np.float32)
    still = np.array([[0.0, 0.0, 1.0, 0.0, 0.0]])
    add_stars(image, 0, 0, np.array([30.0]), np.array([30.0]), np.array([1e6]), still, 0.8, psf_parts(optics, 0.8, 1.0))
    rows, columns = np.mgrid[:61, :61]
    distance = np.hypot(rows - 30, columns - 30)
    ring = image[(distance > 5.5) & (distance < 8.5)]
    assert ring.mean() == pytest.approx(1e6 / (math.pi * 100 * (1 - 0.16)), rel=0.03)
    assert ring.std() < 0.15 * ring.mean()
    assert image[distance < 2].mean() < 0.1 * ring.mean()
    assert image[distance > 12.5].max() < 0.05 * ring.mean()


def test_vignetting_dust_and_gains_are_in_the_flat():
    optics = replace(PLAIN_OPTICS, vignetting=0.4, dust_spots=2)
    world = rig(replace(NOISY, prnu=0.02), optics)
    flat = np.mean([frame(world, 30.0, n).astype(float) for n in range(20)], axis=0) - 1024
    corner, middle = flat[:12, :12].mean(), flat[110:130, 150:170].mean()
    assert corner / middle == pytest.approx(0.6 / 1.0, abs=0.09)
    smooth = flat / world.structure.flat
    assert smooth.std() / smooth.mean() < 0.012
    assert (flat / flat.mean())[100:140, 120:200].std() > 0.019


def test_columns_rows_and_glow():
    spec = replace(NOISY, bias_columns_adc=2.0, row_noise_adc=3.0, glow_e_per_s=20.0, bias_slope_adc=5.0)
    world = rig(spec, sky=DARK_SKY)
    bias = [frame(world, 0.0001, n).astype(float) / 16 for n in range(30)]
    mean = np.mean(bias, axis=0)
    assert mean.mean(axis=0).std() == pytest.approx(2.0, rel=0.15)
    assert np.polyfit(np.arange(240), mean.mean(axis=1), 1)[0] * 239 == pytest.approx(5.0, abs=2.0)
    rows = np.array([(image - mean).mean(axis=1) for image in bias])
    assert rows.std() == pytest.approx(3.0, rel=0.05)
    assert abs(np.corrcoef(rows[0], rows[1])[0, 1]) < 0.3
    glow = frame(world, 100.0, temp_c=20.0).astype(float) / 16
    assert glow[:10, -10:].mean() - 64 > 400
    assert glow[-10:, :10].mean() - 64 < 200


def test_telegraph_pixels_jump_and_warm_ones_glow():
    world = rig(replace(NOISY, telegraph_share=1e-3, telegraph_e=300.0), sky=DARK_SKY)
    where = world.structure.telegraph_y, world.structure.telegraph_x
    levels = np.array([frame(world, 0.01, n)[where].astype(float) for n in range(40)]) / 16 * 3.2 - 64 * 3.2
    up = levels > 150
    assert 0.4 < up.mean() < 0.6
    assert levels[up].mean() - levels[~up].mean() == pytest.approx(300, rel=0.05)
    warm = rig(replace(NOISY, warm_share=0.01, hot_median_e_per_s=6000.0), sky=DARK_SKY)
    assert np.mean(frame(warm, 10.0, temp_c=20.0) > 1024 + 100 / 3.2 * 16) == pytest.approx(0.01, rel=0.25)


def test_nonlinearity_takes_its_share_at_full_well():
    straight, bent = (rig(replace(NOISY, noise=False, nonlinearity=share)) for share in (1e-9, 0.05))
    for part in (0.3, 0.9):
        exposure_s = part * 13000 / straight.sky_e_per_s_px
        a, b = (frame(world, exposure_s).astype(float).mean() - 1024 for world in (straight, bent))
        assert 1 - b / a == pytest.approx(0.05 * part, rel=0.05)


BLACK = Ground(0.0, NO_MAP, 0.0, NO_MAP, 0.0)


def test_blooming_keeps_electrons_and_runs_along_columns():
    image = np.zeros((101, 21), np.float32)
    image[50, 10] = 10_500.0
    spill(image, BLACK, 0, 0, 1000.0)
    assert image.sum() == pytest.approx(10_500)
    assert image.max() == 1000
    assert np.flatnonzero(image[:, 10]).tolist() == list(range(45, 56))
    assert np.count_nonzero(image.sum(axis=0)) == 1
    at_the_edge = np.zeros((4, 1), np.float32)
    at_the_edge[0, 0] = 1e6
    spill(at_the_edge, BLACK, 0, 0, 10.0)
    assert at_the_edge.max() == 10.0


def test_bayer_filters_follow_their_pattern_and_the_header_the_roi():
    sensor = replace(NOISY, bayer_pattern="GRBG", noise=False)
    world = rig(sensor)
    image = frame(world, 20.0).astype(float) - 1024
    green, red, blue = image[::2, ::2].mean(), image[::2, 1::2].mean(), image[1::2, ::2].mean()
    assert red / green == pytest.approx(0.6 / 0.9, rel=0.01)
    assert blue / green == pytest.approx(0.5 / 0.9, rel=0.01)

    async def main() -> list[str | None]:
        async with SimulatedCamera(world) as camera:
            assert camera.info.bayer_pattern == "GRBG"
            patterns = []
            for roi in (None, Roi(1, 0, 20, 20), Roi(0, 1, 20, 20), Roi(3, 3, 20, 20)):
                await camera.configure(CameraSettings(0.01, roi=roi))
                patterns.append((await camera.expose()).header["BAYERPAT"])
            return patterns

    assert virtual_time.run(main()) == ["GRBG", "RGGB", "BGGR", "GBRG"]


def test_binned_sums_and_means_say_their_gain():
    for sums in (False, True):
        spec = replace(NOISY, bins_sum=sums, noise=False)
        world = rig(spec)
        one, two = frame(world, 5.0).astype(float), frame(world, 5.0, binning=2).astype(float)
        factor = 4 if sums else 1
        assert two.mean() == pytest.approx(factor * one.mean(), rel=0.01)
        per_adu = chip.egain_e_per_adu(spec, 0.0, 2, 16)
        assert per_adu == pytest.approx(3.2 / 16 * (1 if sums else 4))


def test_cosmic_rays_come_at_their_rate():
    spec = replace(NOISY, cosmic_rays_per_cm2_min=2000.0)
    world = rig(spec, sky=DARK_SKY)
    area = 320 * 240 * 3.75e-4**2
    assert frame(world, 60.0).max() > 2000
    tracks = [chip.cosmic_rays(spec, 60.0, key(n, Subject.HITS)) for n in range(100)]
    lengths = np.array([len(track.x) for track in tracks if track is not None])
    assert lengths.sum() / 100 == pytest.approx(
        2000 * area * np.mean([math.ceil(2 * v) for v in np.random.default_rng(1).lognormal(1.2, 0.8, 4000)]), rel=0.1
    )
    assert frame(world, 60.0, 1).tolist() != frame(world, 60.0, 2).tolist()


def test_satellites_draw_straight_trails():
    sensor = replace(CLEAN_SENSOR, satellites_per_hour=600.0)
    world = rig(sensor, sky=DARK_SKY)
    plain = rig(CLEAN_SENSOR, sky=DARK_SKY)
    lit = 0
    for start in np.arange(0, 600, 10.0):
        trails = world.field(start, start + 10).trails
        for x0, y0, x1, y1, electrons in trails:
            assert electrons > 0
            assert math.hypot(x1 - x0, y1 - y0) <= 2 * (math.hypot(320, 240) / 2 + 50) + 1
        lit += len(trails)
    assert lit == pytest.approx(100, abs=40)
    field = next(f for s in np.arange(0, 600, 10.0) if len((f := world.field(s, s + 10)).trails))
    asked = CameraSettings(10.0, gain=0.0, offset=8.0)
    noise = np.uint64(1)
    extra = render(world, asked, field, 10.0, noise).astype(float) - render(
        plain, asked, replace(field, trails=field.trails[:0]), 10.0, noise
    )
    assert extra.min() >= 0
    assert np.count_nonzero(extra) > 100


def test_a_rolling_shutter_shears_a_drifting_field():
    """10"/s of drift and 10 ms a row: the last of 240 rows sees the stars 24" later."""
    mount = replace(STILL_MOUNT, drift_ra_arcsec_per_min=600.0)
    setup = replace(QUIET, mount=mount, dec_deg=0.0, sky=replace(DARK_SKY, faintest_mag=13.0))
    still = World(setup, 1).field(100.0, 101.0)
    rolled = World(replace(setup, sensor=replace(CLEAN_SENSOR, line_time_s=0.01)), 1).field(100.0, 101.0)
    world = World(setup, 1)
    moved = np.hypot(rolled.x - still.x, rolled.y - still.y) * world.scale_arcsec_per_px
    inside = (still.y > 0) & (still.y < 239)
    assert inside.sum() > 5
    assert moved[inside] == pytest.approx(10 * 0.01 * still.y[inside], rel=0.02, abs=0.05)


@pytest.mark.parametrize("name", ["average", "asi224mc", "lodestar"])
def test_with_every_effect_neither_roi_nor_threads_matter(name):
    from concurrent.futures import ThreadPoolExecutor

    setup = load_scenario("average").setup
    if name != "average":
        setup = replace(setup, sensor=replace(presets("camera")[name], cosmic_rays_per_cm2_min=50.0))
    world = World(setup, 2)
    field = world.field(7.0, 9.0)
    settings = CameraSettings(2.0, gain=0.0, offset=8.0)
    whole = render(world, settings, field, 10.0, np.uint64(5))
    part = render(world, replace(settings, roi=Roi(101, 33, 200, 150)), field, 10.0, np.uint64(5))
    assert np.array_equal(whole[33:183, 101:301], part)
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: render(world, settings, field, 10.0, np.uint64(5)), range(4)))
    assert all(np.array_equal(whole, image) for image in again)


def test_every_camera_preset_exposes():
    async def main() -> None:
        for name, spec in presets("camera").items():
            small = replace(spec, width_px=min(spec.width_px, 800), height_px=min(spec.height_px, 600))
            async with SimulatedCamera(World(replace(Setup(), sensor=small), 1)) as camera:
                image = await camera.expose()
                assert image.facts.instrument == spec.name
                assert image.data.std() > 0, name

    virtual_time.run(main())
