"""Disks, holes, and offsets on the sky."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from star_scene import Scene

from acquisition.errors import ImageError, NoStars, StarLost
from acquisition.images import FrameFacts, Image, ImageProcessor, TangentWcs
from acquisition.images.meta import (
    AltAzOffsets,
    ExpTime,
    GuideStar,
    GuideStars,
    OnSkyDistance,
    PixelOffsets,
    RaDecOffsets,
)
from acquisition.images.processors.exptime import StarExpTimeEstimator
from acquisition.images.processors.offsets import ApertureOffsets, DiskOffsets, RaDecFromPixels, SpilledLightGuiding


def run(processor: ImageProcessor, image: Image) -> Image:
    return asyncio.run(processor(image))


def disk(dx: float, dy: float, phase: float = 0.0, seed: int = 0) -> Image:
    """A disk of 40 px radius; `phase` > 0 darkens what is left of a terminator."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:200, :240]
    distance = np.hypot(x - 110 - dx, y - 90 - dy)
    light = 3000 / (1 + np.exp((distance - 40) / 0.8)) * (1 + 0.1 * np.sin(x / 5) * np.cos(y / 7))
    if phase:
        light *= 1 / (1 + np.exp(-(x - 110 - dx + 40 * phase) / 3))
    return Image(rng.normal(light + 500, 30).astype(np.uint16))


@pytest.mark.parametrize("phase", [0.0, -0.3])
def test_disk_by_its_limb(phase: float) -> None:
    processor = DiskOffsets()
    run(processor, disk(0, 0, phase, 1))
    offsets = run(processor, disk(7.3, -4.6, phase, 2)).get_meta(PixelOffsets)
    assert (offsets.dx, offsets.dy) == pytest.approx((7.3, -4.6), abs=0.15)
    assert offsets.dx_err is not None
    assert 0.005 < offsets.dx_err < 0.2
    with pytest.raises(StarLost):
        run(processor, Image(np.full((200, 240), 500, np.uint16)))
    asyncio.run(processor.reset())
    with pytest.raises(NoStars):
        run(processor, Image(np.full((200, 240), 500, np.uint16)))


def test_surface_by_correlation() -> None:
    rng = np.random.default_rng(3)
    from scipy.ndimage import gaussian_filter, shift

    surface = gaussian_filter(rng.normal(0, 1, (160, 180)), 3) * 3000 + 2000
    moved = shift(surface, (2.4, -5.7), order=5, mode="nearest")
    processor = DiskOffsets(method="correlation")
    first, second = (Image(rng.normal(s, 20).astype(np.float32)) for s in (surface, moved))
    offsets = run(processor, first).get_meta(PixelOffsets)
    assert (offsets.dx, offsets.dy) == pytest.approx((0, 0), abs=1e-9)
    offsets = run(processor, second).get_meta(PixelOffsets)
    assert (offsets.dx, offsets.dy) == pytest.approx((-5.7, 2.4), abs=0.15)
    with pytest.raises(StarLost):
        run(processor, Image(rng.normal(2000, 20, (160, 180)).astype(np.float32)))


@pytest.mark.parametrize("angle", [None, 0.0, 60.0])
def test_star_on_a_hole(angle: float | None) -> None:
    rng = np.random.default_rng(4)
    for dx, dy in ((0.0, 0.0), (1.4, -0.8), (-2.5, 2.0)):
        scene = Scene(120, 120, np.array([60 + dx]), np.array([55 + dy]), np.array([6e4]), fwhm=5.0, beta=3.5)
        frame = scene.frame(rng).astype(np.float32)
        y, x = np.mgrid[:120, :120]
        if angle is None:
            hole = np.hypot(x - 60, y - 55) < 2.0
        else:
            a = np.radians(angle)
            hole = np.abs((y - 55) * np.cos(a) - (x - 60) * np.sin(a)) < 1.5
        frame[hole] = 110
        size = 4.0 if angle is None else 3.0
        processor = ApertureOffsets(60, 55, size, slit_angle_deg=angle, fwhm_px=5.0)
        offsets = run(processor, Image.from_camera(frame, scene.facts)).get_meta(PixelOffsets)
        assert (offsets.dx, offsets.dy) == pytest.approx((dx, dy), abs=0.15)
    with pytest.raises(NoStars):
        run(processor, Image.from_camera(replace(scene, flux=np.zeros(1)).frame(rng), scene.facts))


def spilled(dx: float, dy: float, binning: int = 1) -> Image:
    """A star of 16 px deviation near a fibre of 24 px radius at (201, 121), unbinned px."""
    y, x = (binning * (np.mgrid[: 240 // binning, : 400 // binning] + 0.5)) - 0.5
    light = 100 + 1000 * np.exp(-((x - 201 - dx) ** 2 + (y - 121 - dy) ** 2) / (2 * 16**2))
    light[np.hypot(x - 201, y - 121) < 24] = 100
    facts = FrameFacts(x_binning=binning, y_binning=binning)
    return Image.from_camera(np.random.default_rng(1).normal(light, 3), facts)


@pytest.mark.parametrize("binning", [1, 2])
@pytest.mark.parametrize(("dx", "dy"), [(10, 0), (-10, 0), (0, 10), (0, -10), (7, 7), (-9, 4)])
def test_spilled_light_points_to_the_star(dx: float, dy: float, binning: int) -> None:
    image = spilled(dx, dy, binning)
    offsets = run(SpilledLightGuiding((201, 121, 24)), image).get_meta(PixelOffsets)
    assert math.remainder(math.atan2(offsets.dy, offsets.dx) - math.atan2(dy, dx), math.tau) == pytest.approx(
        0, abs=0.06
    )
    assert 0.4 < math.hypot(offsets.dx, offsets.dy) * binning / 24 < 1.001
    image.header["FIBX"], image.header["FIBY"], image.header["FIBR"] = 201, 121, 24
    assert run(SpilledLightGuiding(("FIBX", "FIBY", "FIBR")), image).get_meta(PixelOffsets) == offsets


def test_spilled_light_leaves_the_image_alone_and_knows_its_limits() -> None:
    """pyobs subtracts the mean from the image it was given, and moves off a star that is in the middle."""
    image = spilled(0, 0)
    before = image.data.copy()
    assert run(SpilledLightGuiding((201, 121, 24)), image).get_meta(PixelOffsets) == PixelOffsets(0.0, 0.0)
    np.testing.assert_array_equal(image.data, before)
    assert run(SpilledLightGuiding((201, 121, 24)), Image(np.full((240, 400), 9))).get_meta(PixelOffsets).dx == 0
    with pytest.raises(ImageError, match="cut off"):
        run(SpilledLightGuiding((10, 121, 24)), image)
    with pytest.raises(ImageError, match="FIBX"):
        run(SpilledLightGuiding(("FIBX", 3, 3)), image)
    for arguments in ({"fibers": "module"}, {"radius_ratio": 1.0}, {"section_angular_width": 0.0}):
        with pytest.raises(ValueError, match="allowed"):
            SpilledLightGuiding(**{"fibers": (1, 2, 3), **arguments})


def test_design_page_example() -> None:
    """North up, east left, 1 arcsec/px; stars moved by dx = +3 px (west): dra = -3/3600."""
    image = Image.from_camera(
        np.zeros((9, 9), np.uint16), FrameFacts(wcs=TangentWcs(10, 20, 4, 4, (-1 / 3600, 0, 0, 1 / 3600)))
    )
    image.set_meta(PixelOffsets(3.0, 0.0))
    offsets = run(RaDecFromPixels(), image).get_meta(RaDecOffsets)
    assert (offsets.dra, offsets.ddec) == pytest.approx((-3 / 3600, 0.0))
    given = run(RaDecFromPixels((0.0, 1e-3, 2e-3, 0.0)), image).get_meta(RaDecOffsets)
    assert (given.dra, given.ddec) == (0.0, 6e-3)


@pytest.mark.parametrize(("ra_deg", "dec_deg"), [(83.8, -5.4), (150.0, 60.0), (10.0, 5.0), (250.0, 85.0)])
def test_offsets_along_the_horizon_are_astropys(ra_deg: float, dec_deg: float) -> None:
    from astropy import units
    from astropy.coordinates import AltAz, EarthLocation, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    east, north = 0.01, -0.004
    facts = FrameFacts(start_utc=datetime(2026, 3, 1, 20, 0, 0, tzinfo=UTC), exposure_s=20.0, site_lat_deg=48.0,
                       site_lon_deg=11.0, wcs=TangentWcs(ra_deg, dec_deg, 4, 4, (-1e-3, 0.0, 0.0, 1e-3)))  # fmt: skip
    image = Image.from_camera(np.zeros((9, 9)), facts)
    image.set_meta(PixelOffsets(-east / 1e-3, north / 1e-3))
    result = run(RaDecFromPixels(), image)
    found = result.get_meta(AltAzOffsets)
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("iers_degraded_accuracy", "ignore"):
        site = EarthLocation.from_geodetic(11 * units.deg, 48 * units.deg)
        frame = AltAz(obstime=Time("2026-03-01T20:00:10"), location=site)
        here = SkyCoord(ra_deg, dec_deg, unit="deg")
        there = here.spherical_offsets_by(east * units.deg, north * units.deg)
        daz, dalt = here.transform_to(frame).spherical_offsets_to(there.transform_to(frame))
    assert (found.dalt, found.daz) == pytest.approx((dalt.deg, daz.deg), abs=1e-5)
    assert result.get_meta(OnSkyDistance).distance.deg == pytest.approx(math.hypot(east, north))
    assert not run(RaDecFromPixels(distance=False), image).has_meta(OnSkyDistance)


def test_no_sky_offsets_without_a_matrix() -> None:
    image = Image(np.zeros((9, 9)))
    assert run(RaDecFromPixels(), image) is image
    image.set_meta(PixelOffsets(1.0, 1.0))
    with pytest.raises(ImageError, match="no WCS"):
        run(RaDecFromPixels(), image)
    with pytest.raises(ValueError, match="determinant"):
        RaDecFromPixels((1.0, 1.0, 1.0, 1.0))


def with_star(peak: float, **facts: float) -> Image:
    image = Image.from_camera(np.zeros((50, 60), np.uint16), FrameFacts(exposure_s=4.0, **facts))  # type: ignore[arg-type]
    image.set_meta(GuideStars([GuideStar(1, 30, 20, 30, 20, 0.1, 0.1, 1e4, peak, 50, 3, True)]))
    return image


def test_next_exposure_time() -> None:
    def next_s(image: Image, **options: float) -> float:
        return run(StarExpTimeEstimator(**options), image).get_meta(ExpTime).exptime

    assert next_s(with_star(10000)) == pytest.approx(4 * 35000 / 10000)
    assert next_s(with_star(1000, data_max_adu=4095)) == pytest.approx(4 * 0.7 * 4095 / 1000)
    assert next_s(with_star(1000, data_max_adu=4095), bias=200) == pytest.approx(4 * (0.7 * 4095 - 200) / 800)
    assert next_s(with_star(4095, data_max_adu=4095)) < 4  # saturated: shorter
    assert next_s(with_star(100), max_exp_time=10) == 10
    assert next_s(with_star(40000), min_exp_time=5) == 5
    assert next_s(with_star(40000), edge=0.45) == 4  # the only star is too near the edge
    assert next_s(Image.from_camera(np.zeros((9, 9)), FrameFacts(exposure_s=2.0))) == 2.0
    with pytest.raises(ImageError, match="how long"):
        next_s(Image(np.zeros((9, 9))))
    with pytest.raises(ValueError, match="allowed"):
        StarExpTimeEstimator(saturated=1.5)
