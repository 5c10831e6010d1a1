"""Offsets in right ascension and declination as such in azimuth and altitude.

In: an arc on the sky, and where and when it was seen. Out: the same arc along azimuth and altitude.
"""

from __future__ import annotations

import math
from datetime import datetime

from acquisition.epoch import of_date

_J2000_UNIX_S = 946728000.0


def along_horizon(
    east: float, north: float, ra_deg: float, dec_deg: float, lat_deg: float, lon_deg: float, utc: datetime
) -> tuple[float, float]:
    """(along altitude, along azimuth) of a small arc on the sky, in its unit; azimuth counts from north by east.

    Turned by the parallactic angle (Meeus, Astronomical Algorithms, 1998, chapter 14), from UTC for UT1 and without
    refraction: right within 0.1 % of the arc, but for the degree about the zenith, where azimuth means nothing.

    Parameters
    ----------
    east, north : float
        The arc.
    ra_deg, dec_deg : float
        Where it is, ICRS.
    lat_deg, lon_deg : float
        Of the site, geodetic, east positive.
    utc : datetime
        With its time zone.
    """
    # ICRS' north, seen in coordinates of date
    step_deg = 1e-3 if dec_deg < 0 else -1e-3  # away from the pole
    (ra_deg, dec_deg), (ra1_deg, dec1_deg) = of_date(ra_deg, dec_deg, utc), of_date(ra_deg, dec_deg + step_deg, utc)
    ra_step = math.remainder(ra1_deg - ra_deg, 360.0) * math.cos(math.radians(dec_deg))
    turn = math.atan2(ra_step / step_deg, (dec1_deg - dec_deg) / step_deg)
    east, north = east * math.cos(turn) + north * math.sin(turn), north * math.cos(turn) - east * math.sin(turn)
    days = (utc.timestamp() - _J2000_UNIX_S) / 86400
    sidereal_deg = 280.46061837 + 360.98564736629 * days + lon_deg
    hour_angle, dec, lat = (math.radians(angle) for angle in (sidereal_deg - ra_deg, dec_deg, lat_deg))
    up_east = math.sin(hour_angle) * math.cos(lat)
    up_north = math.sin(lat) * math.cos(dec) - math.cos(lat) * math.sin(dec) * math.cos(hour_angle)
    length = math.hypot(up_east, up_north)
    if length == 0:  # at the zenith itself every way is down
        return -math.hypot(east, north), 0.0
    sin_q, cos_q = up_east / length, up_north / length
    return east * sin_q + north * cos_q, north * sin_q - east * cos_q
