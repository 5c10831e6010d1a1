"""A WCS fitted to stars whose places on the sky are known.

In: places in the frame and on the sky. Out: a `TangentWcs`, and how well it fits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from acquisition.images import TangentWcs

Array = NDArray[np.float64]

_FOR_SHEAR = 10  # stars from which on the axes may differ in scale, and not be at right angles


def on_plane(ra_deg: Array, dec_deg: Array, ra0_deg: float, dec0_deg: float) -> tuple[Array, Array]:
    """East and north of a point of the sky in the gnomonic projection about it, degrees; NaN on the other side.

    Calabretta & Greisen 2002, section 5.1.3.
    """
    ra, dec, dec0 = np.radians(ra_deg - ra0_deg), np.radians(dec_deg), math.radians(dec0_deg)
    depth = np.sin(dec) * math.sin(dec0) + np.cos(dec) * math.cos(dec0) * np.cos(ra)
    depth = np.where(depth > 1e-9, depth, np.nan)
    east = np.degrees(np.cos(dec) * np.sin(ra) / depth)
    north = np.degrees((np.sin(dec) * math.cos(dec0) - np.cos(dec) * math.sin(dec0) * np.cos(ra)) / depth)
    return east, north


def from_plane(east_deg: float, north_deg: float, ra0_deg: float, dec0_deg: float) -> tuple[float, float]:
    """The point of the sky, degrees, at a place in the gnomonic projection about another; the inverse of `on_plane`."""
    east, north, dec0 = math.radians(east_deg), math.radians(north_deg), math.radians(dec0_deg)
    depth = math.cos(dec0) - north * math.sin(dec0)
    ra = ra0_deg + math.degrees(math.atan2(east, depth))
    return ra % 360, math.degrees(math.atan2(math.sin(dec0) + north * math.cos(dec0), math.hypot(east, depth)))


def pixels_of(wcs: TangentWcs, ra_deg: Array, dec_deg: Array) -> tuple[Array, Array]:
    """Places of stars, 0-based px; NaN for those on the other side of the sky."""
    east, north = on_plane(ra_deg, dec_deg, wcs.ra_deg, wcs.dec_deg)
    a, b, c, d = wcs.cd
    determinant = a * d - b * c
    return wcs.x + (d * east - b * north) / determinant, wcs.y + (a * north - c * east) / determinant


def fit_wcs(
    x: Array, y: Array, ra_deg: Array, dec_deg: Array, near: tuple[float, float], pixel: tuple[float, float]
) -> TangentWcs:
    """The WCS, anchored at a pixel, that puts stars where they are, by least squares.

    With fewer than 10 stars, pixels are taken for square.

    Parameters
    ----------
    x, y : array
        Places in the frame, 0-based px; at least 3, not on a line.
    ra_deg, dec_deg : array
        Of the same stars, degrees.
    near : tuple of 2 floats
        (RA, Dec) at about `pixel`, degrees.
    pixel : tuple of 2 floats
        The reference pixel, 0-based.
    """
    ra0, dec0 = near
    u, v = x - pixel[0], y - pixel[1]
    cd = 1.0, 0.0, 0.0, 1.0
    for _ in range(3):  # the middle of the projection moves to what is at the pixel
        east, north = on_plane(ra_deg, dec_deg, ra0, dec0)
        if x.size >= _FOR_SHEAR:
            terms = np.column_stack([u, v, np.ones_like(u)])
            (a, b, e0), (c, d, n0) = (np.linalg.lstsq(terms, plane, rcond=None)[0] for plane in (east, north))
        else:
            a, b, c, d, e0, n0 = _similarity(u, v, east, north)
        cd = float(a), float(b), float(c), float(d)
        ra0, dec0 = from_plane(float(e0), float(n0), ra0, dec0)
    return TangentWcs(ra0, dec0, *pixel, cd)


def _similarity(u: Array, v: Array, east: Array, north: Array) -> tuple[float, float, float, float, float, float]:
    """Turn, scale, shift and, where that fits better, mirror."""
    best, least = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), math.inf
    w = east + 1j * north
    for parity in (1, -1):
        terms = np.column_stack([u + 1j * parity * v, np.ones_like(u)])
        (k, shift), *_ = np.linalg.lstsq(terms, w, rcond=None)
        misfit = float(np.sum(np.abs(terms @ np.array([k, shift]) - w) ** 2))
        if misfit < least:
            best, least = (k.real, -parity * k.imag, k.imag, parity * k.real, shift.real, shift.imag), misfit
    return best
