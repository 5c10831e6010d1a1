"""Sky to pixels in a tangential projection.

In: a `TangentWcs` and coordinates. Out: a place in the frame.
"""

from __future__ import annotations

import math

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
