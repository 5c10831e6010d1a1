"""The real sky: bright stars are where and as bright as they are, and faint ones as many as there are."""

import math
from dataclasses import replace

import numpy as np
import pytest
from rigs import QUIET

from simulators.setup import OpticsSpec, SkySpec
from simulators.sky import LOG_COUNTS, REAL_TO_MAG, Sky, log_counts_at, real_stars, tangent_plane_arcsec
from simulators.world import World

WIDE = replace(QUIET, sky=SkySpec(real=True), optics=OpticsSpec(focal_length_mm=50.0), ra_deg=279.23, dec_deg=38.78)


def nearest(stars, ra, dec):
    east, north, front = tangent_plane_arcsec(stars, ra, dec)
    distance = np.where(front, np.hypot(east, north), np.inf)
    return distance.min(), float(stars.mag[np.argmin(distance)])


@pytest.mark.parametrize(
    ("ra", "dec", "mag"),
    [  # ICRS at 2000 with their proper motions to 2016; magnitudes are roughly visual
        (279.23474 + 16.0 * 0.20094 / 3600 / math.cos(math.radians(38.8)), 38.78369 + 16.0 * 0.28623 / 3600, 0.03),
        (213.91530 - 16.0 * 1.09339 / 3600 / math.cos(math.radians(19.2)), 19.18241 - 16.0 * 2.00006 / 3600, -0.05),
        (269.45208 - 16.0 * 0.80155 / 3600, 4.69339 + 16.0 * 10.36239 / 3600, 8.2),  # Barnard's star
    ],
)
def test_stars_that_everybody_knows_are_there(ra, dec, mag):
    away, found = nearest(Sky(1, 12.0, real=True).around(ra, dec, 0.5), ra, dec)
    assert away < 2.0
    assert found == pytest.approx(mag, abs=1.2)


def test_every_bright_star_is_in_exactly_one_cell():
    everywhere = sum(len(real_stars(0, 360, south, south + 1, 10.0).mag) for south in range(-90, 90))
    assert everywhere == pytest.approx(482_000, rel=0.05)
    _, _, front = tangent_plane_arcsec(stars := Sky(1, 10.0, real=True).around(83.8, -5.4, 2.0), 83.8, -5.4)
    assert front.all()
    assert len(set(zip(stars.ra_deg, stars.dec_deg, strict=True))) == len(stars.mag)


def test_the_milky_way_has_more_stars():
    plane, pole = Sky(1, 14.0, True).around(283.0, 2.0, 2.0), Sky(1, 14.0, True).around(192.86, 27.13, 2.0)
    faint = [np.sum(stars.mag > REAL_TO_MAG) for stars in (plane, pole)]
    assert 6 < faint[0] / faint[1] < 12
    sphere = np.arcsin(np.linspace(-0.995, 0.995, 41)) * 180 / math.pi
    counts = [10 ** log_counts_at(ra, dec) for ra in np.arange(0, 360, 10) for dec in sphere]
    assert np.mean(counts, axis=0) == pytest.approx(10**LOG_COUNTS, rel=0.03)


def test_made_up_stars_continue_where_the_real_ones_end():
    stars = Sky(2, 13.0, True).around(100.0, 10.0, 4.0)
    counts = np.histogram(stars.mag, np.arange(7, 13.1, 1.0))[0]
    assert np.all((counts[1:] / counts[:-1] > 1.7) & (counts[1:] / counts[:-1] < 4.5))


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (359.99, 89.9), (120.0, -60.0), (192.86, 27.13), (10.0, -89.9)])
def test_any_pointing_has_stars(ra, dec):
    field = World(replace(QUIET, sky=SkySpec(real=True), ra_deg=ra, dec_deg=dec), 1).field(0.0, 2.0)
    assert len(field.x) > 5


def test_real_stars_fall_where_the_header_says():
    """Vega on the detector, by the WCS of the same field."""
    world = World(WIDE, 1)
    field = world.field(0.0, 1.0)
    brightest = np.argmax(field.flux_e_per_s)
    sky = field.cd_deg_per_px @ (np.array([field.x[brightest], field.y[brightest]]) - world.centre_px) * 3600
    east = (279.23474 - 279.23) * 3600 * math.cos(math.radians(38.78)) + 16.0 * 0.20094
    north = (38.78369 - 38.78) * 3600 + 16.0 * 0.28623
    assert sky == pytest.approx([east, north], abs=1.5)
