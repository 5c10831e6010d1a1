"""Pixels, sky and mount axes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.geometry import (
    MountAxis,
    MountResponse,
    cd_scale_arcsec,
    pixel_scale_arcsec,
    pixels_to_sky,
)

angles = st.floats(-180, 180)
pixels = st.floats(-1000, 1000)


@given(angle=angles, between=st.floats(30, 150), mirrored=st.booleans(), dx=pixels, dy=pixels)
def test_to_the_axes_and_back(angle, between, mirrored, dx, dy):
    response = MountResponse(MountAxis(angle, 2.0), MountAxis(angle + (-between if mirrored else between), 1.5))
    ra, dec = response.to_axes(dx, dy)
    assert response.to_pixels(ra, dec) == pytest.approx((dx, dy), abs=1e-6)
    assert response.parity == (-1 if mirrored else 1)
    assert response.orthogonality_error_deg == pytest.approx(abs(between - 90), abs=1e-6)


@given(angle=angles, between=st.floats(30, 150), amount=pixels)
def test_a_move_along_one_axis_leaves_the_other_alone(angle, between, amount):
    response = MountResponse(MountAxis(angle, 2.0), MountAxis(angle + between, 1.5))
    direction = math.radians(angle)
    ra, dec = response.to_axes(amount * math.cos(direction), amount * math.sin(direction))
    assert (ra, dec) == pytest.approx((amount, 0), abs=1e-6)


def test_ra_rate_goes_with_the_cosine_of_the_declination():
    response = MountResponse(MountAxis(0, 2.0, 1.0, 0.1), MountAxis(90, 2.0), dec_deg=60.0)
    moved = response.at_declination(0.0)
    assert moved.ra.rate_px_per_s == pytest.approx(4.0)
    assert moved.ra.rate_err_px_per_s == pytest.approx(0.2)
    assert moved.dec == response.dec
    assert response.at_declination(None) is response
    assert response.at_declination(90.0).ra.rate_px_per_s > 0


def test_errors_of_an_axis_are_along_and_across_its_motion():
    axis = MountAxis.from_motion(3.0, 0.0, 0.1, 0.2)
    assert axis.angle_deg == 0
    assert axis.rate_px_per_s == 3.0
    assert axis.rate_err_px_per_s == pytest.approx(0.1)
    assert axis.angle_err_deg == pytest.approx(math.degrees(0.2 / 3))
    with pytest.raises(ValueError, match="has no direction"):
        MountAxis.from_motion(0.0, 0.0)


def test_the_designs_worked_example():
    """North up, east left, 1"/px; stars moved by dx = +3 px (west): dra = -3/3600 degrees."""
    cd = (-1 / 3600, 0.0, 0.0, 1 / 3600)
    assert pixels_to_sky(3.0, 0.0, cd) == pytest.approx((-3 / 3600, 0))
    assert cd_scale_arcsec(cd) == pytest.approx(1.0)


@given(angle=angles, scale=st.floats(0.1, 30))
def test_the_scale_of_a_rotated_matrix(angle, scale):
    c, s = math.cos(math.radians(angle)) * scale / 3600, math.sin(math.radians(angle)) * scale / 3600
    assert cd_scale_arcsec((c, -s, s, c)) == pytest.approx(scale)


def test_scale_from_the_optics():
    assert pixel_scale_arcsec(3.75, 240.0) == pytest.approx(3.2229, abs=1e-3)
