"""``sim://`` as a camera: pictures that agree with their own headers, and a device that behaves like one."""

import asyncio
import contextlib
import logging
import math
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from rigs import CLEAN_SENSOR, DARK_SKY, QUIET, SHARP, STILL_AIR, STILL_MOUNT, centroid

from acquisition import virtual_time
from acquisition.camera import Camera, CameraSettings, FrameTruth, Roi
from acquisition.devices import DeviceContext, open_camera
from acquisition.errors import DeviceBusy, DeviceError, DeviceGone, DeviceTimeout
from acquisition.images import Image
from simulators.camera import SimulatedCamera
from simulators.setup import OpticsSpec, SensorSpec, Setup, SkySpec
from simulators.sky import tangent_plane_arcsec
from simulators.world import Field, World

FULL_SIZE = replace(SHARP, sensor=replace(CLEAN_SENSOR, width_px=1280, height_px=960))


def now() -> float:
    return asyncio.get_running_loop().time()


def frames(setup: Setup, *settings: CameraSettings, seed: int = 1) -> list[Image]:
    """One frame with each settings, all beginning at the same instant of worlds of their own."""

    async def one(wanted: CameraSettings) -> Image:
        async with SimulatedCamera(World(setup, seed)) as camera:
            await camera.configure(wanted)
            return await camera.expose()

    return [virtual_time.run(one(wanted)) for wanted in settings]


def lonely_stars(field: Field) -> list[tuple[float, float]]:
    """Stars well inside the detector, not saturated in half a second, with no other one near."""
    places = np.column_stack([field.x, field.y])
    inside = (
        (field.x > 60)
        & (field.x < 1220)
        & (field.y > 60)
        & (field.y < 900)
        & (field.flux_e_per_s < 30000)
        & (field.flux_e_per_s > 5000)
    )
    lonely = [place for place in places[inside] if np.sum(np.hypot(*(places - place).T) < 40) == 1]
    assert len(lonely) >= 3
    return [(float(x), float(y)) for x, y in lonely]


def test_it_is_a_camera():
    async def main() -> None:
        async with open_camera("sim://", DeviceContext()) as camera:
            assert isinstance(camera, Camera)
            assert (camera.info.width_px, camera.info.height_px) == (1280, 960)

    virtual_time.run(main())


def test_same_seed_same_frames_other_seed_other_frames():
    def night(seed: int) -> list[bytes]:
        async def main() -> list[bytes]:
            async with open_camera(f"sim://?seed={seed}", DeviceContext()) as camera:
                await camera.configure(CameraSettings(exposure_s=2.0, roi=Roi(300, 200, 256, 200)))
                return [(await camera.expose()).data.tobytes() for _ in range(3)]

        return virtual_time.run(main())

    first = night(1)
    assert first == night(1)
    assert len(set(first)) == 3
    assert not set(first) & set(night(2))


def test_frames_know_nothing_of_those_before_whatever_came_between(monkeypatch):
    """What came between: exposures that were cancelled, other settings; and memory that was used before is dark."""
    short = CameraSettings(exposure_s=0.5, roi=Roi(300, 200, 128, 128))
    long = replace(short, exposure_s=1.0)

    async def take() -> list[Image]:
        images = []
        async with open_camera("sim://?seed=3&scenario=average", DeviceContext()) as camera:
            for settings, n in ((short, 6), (long, 3), (short, 3)):
                await camera.configure(settings)
                images += [await camera.expose() for _ in range(n)]
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(camera.expose(), 0.1)
                images.append(await camera.expose())
        return images

    images = virtual_time.run(take())
    monkeypatch.setattr("simulators.frame._spare", deque(maxlen=0))
    afresh = virtual_time.run(take())
    assert len(images) == len(afresh) == 15
    assert all(np.array_equal(one.data, other.data) for one, other in zip(images, afresh, strict=True))
    assert len({image.data.tobytes() for image in images}) == 15
    assert [image.facts.exposure_s for image in images] == [0.5] * 7 + [1.0] * 4 + [0.5] * 4


def test_the_header_says_where_each_star_is():
    """Star by star: astropy's WCS of the FITS header against the light in the picture."""
    from astropy.wcs import WCS

    bright = replace(FULL_SIZE, sky=replace(DARK_SKY, faintest_mag=10.3))  # fainter stars would pull at the brighter
    optics = OpticsSpec(halo_share=0.0, rotation_deg=-140.0)
    turned = replace(bright, dec_deg=62.0, optics=optics)
    mirrored = replace(bright, dec_deg=-80.0, ra_deg=0.02, optics=replace(optics, mirrored=True))
    whole = CameraSettings(exposure_s=1.0)
    cases = [
        (bright, whole),
        (bright, replace(whole, roi=Roi(201, 103, 801, 702))),
        (bright, replace(whole, binning=2)),
        (bright, replace(whole, binning=2, roi=Roi(11, 7, 600, 450))),
        (turned, whole),
        (mirrored, whole),
        (mirrored, replace(whole, binning=2, roi=Roi(50, 30, 501, 403))),
    ]
    for setup, settings in cases:
        (image,) = frames(setup, settings)
        catalog = World(setup, 1).sky.around(setup.ra_deg, setup.dec_deg, 1.0)
        place = WCS(image.header, fix=False).all_world2pix(np.column_stack([catalog.ra_deg, catalog.dec_deg]), 0)
        height, width = image.data.shape
        errors = []
        for (x, y), mag in zip(place, catalog.mag, strict=True):
            beside = np.hypot(*(place - (x, y)).T)
            if 12 < x < width - 13 and 12 < y < height - 13 and mag > 7.5 and np.sum(beside < 20) == 1:
                errors.append(np.subtract(centroid(image.data, x, y, 7), (x, y)))
        assert len(errors) >= 3, settings
        assert np.abs(errors).max() < 0.05, settings


def test_a_star_is_where_the_world_put_it():
    setup = replace(FULL_SIZE, sky=replace(DARK_SKY, faintest_mag=11.0))
    (image,) = frames(setup, CameraSettings(exposure_s=0.5))
    for x, y in lonely_stars(World(setup, 1).field(0.0, 0.5)):
        assert centroid(image.data, x, y) == pytest.approx((x, y), abs=0.01)


def test_a_roi_is_that_part_of_the_whole_frame():
    for setup in (QUIET, replace(QUIET, sensor=replace(CLEAN_SENSOR, noise=True, hot_share=0.01))):
        roi = Roi(33, 21, 120, 90)
        whole, part = frames(setup, CameraSettings(1.0), CameraSettings(1.0, roi=roi))
        assert np.array_equal(whole.data[21:111, 33:153], part.data)
        assert (part.facts.x_origin_px, part.facts.y_origin_px) == (33, 21)


def test_binning_means_in_16_bits_and_sums_in_8():
    bright = replace(QUIET, sky=SkySpec(background_mag_per_arcsec2=17.0))
    by_one, by_two, by_four = frames(bright, *(CameraSettings(1.0, binning=b) for b in (1, 2, 4)))
    assert by_two.data.shape == (120, 160)
    blocks = by_one.data.reshape(120, 2, 160, 2).astype(int)
    assert np.array_equal(by_two.data, blocks.sum(axis=(1, 3)) // 4)
    assert by_four.data.shape == (60, 80)
    small, small_by_two = frames(bright, *(CameraSettings(1.0, binning=b, bits=8) for b in (1, 2)))
    assert small.data.dtype == np.uint8
    assert np.array_equal(small.data, by_one.data >> 8)
    blocks = small.data.reshape(120, 2, 160, 2).astype(int)
    assert np.array_equal(small_by_two.data, np.minimum(blocks.sum(axis=(1, 3)), 255))


@pytest.mark.parametrize("binning", [1, 2])
@pytest.mark.parametrize("gain", [0.0, 60.0])
def test_photon_transfer_gives_back_what_the_header_says(binning, gain):
    """Variance against mean of pairs of even frames: 1/slope is e-/ADU, the intercept the read noise."""
    sensor = SensorSpec(width_px=320, height_px=240, hot_share=0.0)
    even = replace(QUIET, sensor=sensor, sky=SkySpec(faintest_mag=4.01, background_mag_per_arcsec2=18.0))

    async def main() -> tuple[list[float], list[float], Image]:
        means, variances = [], []
        async with SimulatedCamera(World(even, 3)) as camera:
            for exposure_s in (0.0001, 1.0, 4.0, 8.0, 16.0, 32.0):
                await camera.configure(CameraSettings(exposure_s, gain=gain, binning=binning))
                one, other = [(await camera.expose()) for _ in range(2)]
                a, b = one.data.astype(float), other.data.astype(float)
                means.append((a.mean() + b.mean()) / 2)
                variances.append((a - b).var() / 2)
        return means, variances, one

    means, variances, image = virtual_time.run(main())
    facts = image.facts
    slope = np.polyfit(np.array(means) - means[0], variances, 1)[0]
    assert 1 / slope == pytest.approx(facts.egain_e_per_adu, rel=0.05)
    steps = 256 / 12 / binning**2 + (1 / 12 if binning > 1 else 0)  # of the converter, 16 ADU, and of the mean
    read_noise_e = math.sqrt(variances[0] - steps) * facts.egain_e_per_adu
    assert read_noise_e == pytest.approx(facts.read_noise_e, rel=0.05)


def test_a_saturated_star_stops_at_what_the_header_says():
    for gain in (0.0, 100.0):
        (image,) = frames(replace(FULL_SIZE, sensor=SensorSpec(noise=False)), CameraSettings(60.0, gain=gain))
        bias = 16 * 64
        limit = min(image.facts.data_max_adu, image.facts.full_well_e / image.facts.egain_e_per_adu + bias)
        assert image.data.max() == pytest.approx(limit, abs=16)


def test_hot_pixels_stay_and_follow_the_temperature():
    sensor = replace(CLEAN_SENSOR, hot_share=0.01, dark_e_per_s=0.5)
    (warm,) = frames(replace(QUIET, sensor=replace(sensor, ambient_temp_c=20.0)), CameraSettings(10.0, gain=0.0))
    (cold,) = frames(replace(QUIET, sensor=replace(sensor, ambient_temp_c=14.0)), CameraSettings(10.0, gain=0.0))
    light = [image.data.astype(float) - np.median(image.data) for image in (warm, cold)]
    hot = (light[0] > 2000) & (light[0] < 20000)
    assert hot.sum() > 50
    assert np.median(light[0][hot] / light[1][hot]) == pytest.approx(2.0, rel=0.03)


def test_facts_tell_time_place_and_settings():
    async def main() -> None:
        async with open_camera("sim://?seed=3", DeviceContext()) as camera:
            await asyncio.sleep(10)
            await camera.configure(CameraSettings(exposure_s=3.0, gain=20, offset=5, binning=2))
            first = (await camera.expose()).facts
            second = (await camera.expose()).facts
            assert first.start_utc == virtual_time.EPOCH.replace(second=10)
            assert first.start_loop_s == 10.0
            assert first.exposure_s == 3.0
            assert (first.frame_seq, second.frame_seq) == (1, 2)
            assert second.start_loop_s == pytest.approx(13.05)
            assert (first.gain, first.offset, first.x_binning) == (20, 5, 2)
            assert first.x_pixel_size_um == 7.5
            assert first.image_type == "object"
            assert first.egain_e_per_adu == pytest.approx(3.2 / 10**0.1 / 16 * 4)
            assert first.airmass is not None
            assert 1 <= first.airmass < 1.2
            assert (first.tel_ra_deg, first.tel_dec_deg) == (120.0, 30.0)
            assert first.ra_deg == pytest.approx(120.0, abs=0.01)
            missing = [name for name in FACTS_OF_A_SIMULATOR if getattr(first, name) is None]
            assert missing == []

    virtual_time.run(main())


FACTS_OF_A_SIMULATOR = (
    "start_uncertainty_s",
    "instrument",
    "camera_id",
    "detector",
    "y_binning",
    "y_pixel_size_um",
    "x_origin_px",
    "y_origin_px",
    "read_noise_e",
    "full_well_e",
    "bit_depth",
    "data_max_adu",
    "ccd_temp_c",
    "cooler_power_percent",
    "row_order",
    "readout_mode",
    "n_dropped",
    "object_name",
    "telescope",
    "focal_length_mm",
    "aperture_mm",
    "site_lat_deg",
    "site_lon_deg",
    "site_elev_m",
    "software",
    "dec_deg",
    "wcs",
)


def test_settings_that_were_changed_come_back(caplog):
    async def main() -> None:
        async with open_camera("sim://", DeviceContext()) as camera:
            before = camera.settings
            accepted = await camera.configure(
                CameraSettings(exposure_s=0.0, gain=4711, offset=3.4, target_temp_c=-80, cooler_on=True)
            )
            assert camera.settings == accepted.settings
            changed = {change.name: change.accepted for change in accepted.adjustments}
            assert changed == {"exposure_s": 32e-6, "gain": 100.0, "offset": 3.0, "target_temp_c": -23.0}
            unchanged = await camera.configure(CameraSettings(exposure_s=1.0))
            assert unchanged.adjustments == ()
            assert (unchanged.settings.gain, unchanged.settings.target_temp_c) == (100.0, -23.0)
            assert before.gain == 50.0

    with caplog.at_level(logging.WARNING):
        virtual_time.run(main())
    assert "gain: asked for 4711, camera took 100.0" in caplog.text


def test_a_camera_without_cooler_says_so():
    async def main() -> None:
        uncooled = replace(QUIET, sensor=replace(CLEAN_SENSOR, cooling_below_ambient_c=0.0))
        async with SimulatedCamera(World(uncooled, 1)) as camera:
            assert not camera.info.has_cooler
            accepted = await camera.configure(CameraSettings(target_temp_c=-10, cooler_on=True))
            assert {change.name: change.accepted for change in accepted.adjustments} == {
                "target_temp_c": None,
                "cooler_on": None,
            }
            assert (await camera.status()).cooler_power_percent is None

    virtual_time.run(main())


def test_cooling_takes_its_time_and_shows_in_the_facts():
    async def main() -> None:
        async with open_camera("sim://", DeviceContext()) as camera:
            assert (await camera.status()).ccd_temp_c == 12.0
            await camera.configure(CameraSettings(target_temp_c=-10, cooler_on=True, roi=Roi(0, 0, 64, 64)))
            await asyncio.sleep(40)
            assert (await camera.status()).ccd_temp_c == pytest.approx(-10 + 22 / math.e, abs=0.1)
            await asyncio.sleep(600)
            facts = (await camera.expose()).facts
            assert (facts.ccd_temp_c, facts.set_temp_c) == (-10.0, -10.0)
            assert facts.cooler_power_percent == pytest.approx(100 * 22 / 35, abs=0.1)
            await camera.configure(CameraSettings(cooler_on=False))
            await asyncio.sleep(600)
            assert await camera.status() == replace(await camera.status(), ccd_temp_c=12.0, cooler_power_percent=0.0)

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (CameraSettings(roi=Roi(1200, 0, 100, 100)), "ROI is 100x100.1200.0; allowed: a rectangle inside 1280x960"),
        (CameraSettings(binning=2, roi=Roi(0, 0, 641, 10)), "inside 640x480"),
        (CameraSettings(exposure_s=-1), "exposure is -1 s"),
        (CameraSettings(binning=3), "binning is 3; allowed: 1, 2, 4"),
        (CameraSettings(bits=12), "bits is 12; allowed: 8, 16"),
    ],
)
def test_impossible_settings_are_refused_and_change_nothing(settings, message):
    async def main() -> None:
        async with open_camera("sim://", DeviceContext()) as camera:
            before = camera.settings
            with pytest.raises(ValueError, match=message):
                await camera.configure(settings)
            assert camera.settings == before

    virtual_time.run(main())


def test_a_hanging_exposure_misses_its_deadline_and_the_next_one_works():
    async def main() -> None:
        async with open_camera("sim://?hang_after=2", DeviceContext()) as camera:
            await camera.configure(CameraSettings(exposure_s=2.0, roi=Roi(0, 0, 64, 64)))
            await camera.expose()
            began = now()
            with pytest.raises(DeviceTimeout, match=r"no frame 7\.05 s after the start of a 2 s exposure"):
                await camera.expose()
            assert now() - began == pytest.approx(7.05)
            assert (await camera.expose()).facts.frame_seq == 2

    virtual_time.run(main())


def test_a_cancelled_exposure_stops_at_once():
    async def main() -> None:
        async with open_camera("sim://", DeviceContext()) as camera:
            await camera.configure(CameraSettings(exposure_s=100.0, roi=Roi(0, 0, 64, 64)))
            exposing = asyncio.create_task(camera.expose())
            await asyncio.sleep(1)
            exposing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await exposing
            assert now() == 1.0
            await camera.configure(CameraSettings(exposure_s=1.0, roi=Roi(0, 0, 64, 64)))
            assert (await camera.expose()).facts.frame_seq == 1
            assert now() == pytest.approx(2.05)

    virtual_time.run(main())


def test_one_exposure_at_a_time():
    async def main() -> None:
        async with open_camera("sim://", DeviceContext()) as camera:
            exposing = asyncio.create_task(camera.expose())
            await asyncio.sleep(0.5)
            with pytest.raises(DeviceBusy, match="is exposing"):
                await camera.expose()
            with pytest.raises(DeviceBusy, match="is exposing"):
                await camera.configure(CameraSettings())
            assert (await camera.status()).n_dropped == 0
            await exposing
            async with contextlib.aclosing(camera.stream()) as stream:
                await anext(stream)
                with pytest.raises(DeviceBusy, match="is exposing"):
                    await camera.expose()
            await camera.expose()

    virtual_time.run(main())


def test_a_stream_gives_frames_until_it_is_closed():
    async def main() -> list[int | None]:
        numbers = []
        async with open_camera("sim://", DeviceContext()) as camera:
            await camera.configure(CameraSettings(exposure_s=0.5, roi=Roi(0, 0, 64, 64)))
            async with contextlib.aclosing(camera.stream()) as stream:
                async for image in stream:
                    numbers.append(image.facts.frame_seq)
                    if len(numbers) == 4:
                        break
        return numbers

    assert virtual_time.run(main()) == [1, 2, 3, 4]


def test_nothing_works_before_connecting_or_after_closing():
    async def main() -> None:
        camera = open_camera("sim://", DeviceContext())
        with pytest.raises(DeviceError, match="not connected"):
            _ = camera.info
        async with camera:
            async with camera:
                pass
            await camera.expose()  # still open: connecting nests
        await camera.close()
        for call in (camera.expose, camera.status):
            with pytest.raises(DeviceError, match="not connected"):
                await call()

    virtual_time.run(main())


def test_closing_ends_a_running_exposure():
    async def main() -> None:
        camera = open_camera("sim://", DeviceContext())
        await camera.connect()
        await camera.configure(CameraSettings(exposure_s=100.0))
        exposing = asyncio.create_task(camera.expose())
        await asyncio.sleep(1)
        await camera.close()
        await camera.connect()  # at once: the old exposure is over all the same
        with pytest.raises(DeviceGone, match="closed during an exposure"):
            await exposing
        assert now() == 1.0
        await camera.close()

    virtual_time.run(main())


def test_truth_is_known_for_recent_frames_of_its_own():
    drifting = replace(QUIET, mount=replace(STILL_MOUNT, drift_ra_arcsec_per_min=60.0, drift_dec_arcsec_per_min=30.0))

    async def main() -> None:
        world = World(drifting, 1)
        async with SimulatedCamera(world) as camera, SimulatedCamera(world) as other:
            await camera.configure(CameraSettings(exposure_s=2.0, roi=Roi(0, 0, 16, 16)))
            first = await camera.expose()
            truth = camera.truth(first)
            assert truth is not None
            assert truth.ra_arcsec == pytest.approx(1.0 * math.cos(math.radians(30)), rel=1e-4)
            assert truth.dec_arcsec == pytest.approx(0.5)
            assert other.truth(first) is None
            assert camera.truth(Image(first.data)) is None
            await camera.configure(CameraSettings(exposure_s=2.0, binning=2, roi=Roi(0, 0, 16, 16)))
            second = camera.truth(await camera.expose())
            assert isinstance(second, FrameTruth)
            assert second.dx_px / truth.dx_px == pytest.approx(3.05 / 1.0 / 2, rel=1e-3)

    virtual_time.run(main())


def test_the_picture_moves_as_the_truth_says():
    """The stars of a drifting mount, measured in the picture, against the truth."""
    drifting = replace(
        FULL_SIZE,
        sky=replace(DARK_SKY, faintest_mag=11.0),
        mount=replace(STILL_MOUNT, drift_ra_arcsec_per_min=40.0, drift_dec_arcsec_per_min=-25.0),
    )

    async def main() -> None:
        world = World(drifting, 1)
        places = lonely_stars(world.field(0.0, 0.5))
        async with SimulatedCamera(world) as camera:
            await camera.configure(CameraSettings(exposure_s=0.5))
            first = await camera.expose()
            await asyncio.sleep(20)
            second = await camera.expose()
            before, after = camera.truth(first), camera.truth(second)
            assert before is not None
            assert after is not None
            dx, dy = after.dx_px - before.dx_px, after.dy_px - before.dy_px
            assert math.hypot(dx, dy) > 3
            for x, y in places:
                x0, y0 = centroid(first.data, x, y)
                x1, y1 = centroid(second.data, x + dx, y + dy)
                assert (x1 - x0, y1 - y0) == pytest.approx((dx, dy), abs=0.02)

    virtual_time.run(main())


def test_seeing_shakes_short_exposures_more_than_long_ones():
    shaky = replace(FULL_SIZE, air=Setup().air)
    world = World(shaky, 2)
    for_exposure = {}
    for exposure_s in (0.05, 2.0):
        paths = [world.field(10.0 * n, 10.0 * n + exposure_s).path for n in range(200)]
        means = np.array([(path[:, :2] * path[:, 2:3]).sum(axis=0) for path in paths]) * world.scale_arcsec_per_px
        for_exposure[exposure_s] = means.std(axis=0).mean()
    assert 0.6 < for_exposure[0.05] < 1.2
    assert for_exposure[2.0] < 0.4 * for_exposure[0.05]
    assert for_exposure[2.0] > 0.05


def test_the_default_field_has_stars_to_guide_on():
    """A few stars of good signal that are not saturated at two seconds, for several seeds."""
    for seed in range(1, 6):
        setup = Setup()
        world = World(setup, seed)
        field = world.field(0.0, 2.0)
        visible = (field.x > 20) & (field.x < 1260) & (field.y > 20) & (field.y < 940)
        light_e = field.flux_e_per_s[visible] * 2
        assert 200 < visible.sum() < 700
        assert np.sum((light_e > 1500) & (light_e < 15000)) >= 5


def test_tangent_plane_of_nothing_is_nothing():
    stars = World(QUIET, 1).sky.around(0.0, 90.0, 0.1)
    east, _, front = tangent_plane_arcsec(stars, 0.0, -90.0)
    assert not front.any()
    assert np.isfinite(east).all()


def test_still_air_is_still():
    world = World(replace(QUIET, air=STILL_AIR), 1)
    assert world.tilt.variance_arcsec2 == 0
    assert np.abs(world.field(0.0, 2.0).path[:, :2]).max() < 1e-6
