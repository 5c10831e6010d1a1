"""Sky to pixels and back in a tangential projection.

In: a `TangentWcs` and coordinates, or places in the frame. Out: the other.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from acquisition.images import TangentWcs


def sky_to_pixel(wcs: TangentWcs, ra_deg: float, dec_deg: float) -> tuple[float, float] | None:
    """Place of ICRS coordinates, 0-based px; None for what is 90 degrees or more from the reference point.

    Gnomonic projection: Calabretta & Greisen 2002, section 5.1.3.
    """
    dec, dec0, ra = math.radians(dec_deg), math.radians(wcs.dec_deg), math.radians(ra_deg - wcs.ra_deg)
    depth = math.sin(dec) * math.sin(dec0) + math.cos(dec) * math.cos(dec0) * math.cos(ra)
    if depth <= 1e-9:
        return None
    east = math.degrees(math.cos(dec) * math.sin(ra) / depth)
    north = math.degrees((math.sin(dec) * math.cos(dec0) - math.cos(dec) * math.sin(dec0) * math.cos(ra)) / depth)
    a, b, c, d = wcs.cd
    determinant = a * d - b * c
    return wcs.x + (d * east - b * north) / determinant, wcs.y + (a * north - c * east) / determinant


def pixel_to_sky(
    wcs: TangentWcs, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ICRS coordinates, degrees, of places in the frame, 0-based px; the inverse of `sky_to_pixel`."""
    a, b, c, d = wcs.cd
    dx, dy = x - wcs.x, y - wcs.y
    east, north = np.radians(a * dx + b * dy), np.radians(c * dx + d * dy)
    sin0, cos0 = math.sin(math.radians(wcs.dec_deg)), math.cos(math.radians(wcs.dec_deg))
    depth = cos0 - north * sin0
    ra = np.degrees(np.arctan2(east, depth)) + wcs.ra_deg
    dec = np.degrees(np.arctan2(sin0 + north * cos0, np.hypot(depth, east)))
    return ra % 360.0, dec
