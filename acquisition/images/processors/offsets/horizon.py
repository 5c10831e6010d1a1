"""Offsets in right ascension and declination as such in azimuth and altitude.

In: an arc on the sky, or its ends, and where and when it was seen. Out: the same arc along azimuth and altitude.
"""

from __future__ import annotations

import math

from acquisition.epoch import of_date
from acquisition.images import FrameFacts
from acquisition.images.meta import AltAzOffsets

_J2000_UNIX_S = 946728000.0


def alt_az_offsets(
    facts: FrameFacts, east_deg: float, north_deg: float, ra_deg: float, dec_deg: float
) -> AltAzOffsets | None:
    """A small arc on the sky along altitude and azimuth (from north by east); None where site or time is not known.

    Turned by the parallactic angle (Meeus, Astronomical Algorithms, 1998, chapter 14), from UTC for UT1 and without
    refraction: right within 0.1 % of the arc, but for the degree about the zenith, where azimuth means nothing.

    Parameters
    ----------
    facts : FrameFacts
        Of the frame that shows it; what counts is the middle of the exposure.
    east_deg, north_deg : float
        The arc.
    ra_deg, dec_deg : float
        Where it is, ICRS.
    """
    lat_deg, lon_deg, utc = facts.site_lat_deg, facts.site_lon_deg, facts.mid_utc or facts.start_utc
    if lat_deg is None or lon_deg is None or utc is None or abs(lat_deg) > 90:
        return None
    # ICRS' north, seen in coordinates of date
    step_deg = 1e-3 if dec_deg < 0 else -1e-3  # away from the pole
    (ra_deg, dec_deg), (ra1_deg, dec1_deg) = of_date(ra_deg, dec_deg, utc), of_date(ra_deg, dec_deg + step_deg, utc)
    ra_step = math.remainder(ra1_deg - ra_deg, 360.0) * math.cos(math.radians(dec_deg))
    turn = math.atan2(ra_step / step_deg, (dec1_deg - dec_deg) / step_deg)
    east = east_deg * math.cos(turn) + north_deg * math.sin(turn)
    north = north_deg * math.cos(turn) - east_deg * math.sin(turn)
    days = (utc.timestamp() - _J2000_UNIX_S) / 86400
    sidereal_deg = 280.46061837 + 360.98564736629 * days + lon_deg
    hour_angle, dec, lat = (math.radians(angle) for angle in (sidereal_deg - ra_deg, dec_deg, lat_deg))
    up_east = math.sin(hour_angle) * math.cos(lat)
    up_north = math.sin(lat) * math.cos(dec) - math.cos(lat) * math.sin(dec) * math.cos(hour_angle)
    length = math.hypot(up_east, up_north)
    if length == 0:  # at the zenith itself every way is down
        return AltAzOffsets(-math.hypot(east, north), 0.0)
    sin_q, cos_q = up_east / length, up_north / length
    return AltAzOffsets(east * sin_q + north * cos_q, north * sin_q - east * cos_q)


def arc_between(ra0_deg: float, dec0_deg: float, ra1_deg: float, dec1_deg: float) -> tuple[float, float]:
    """(east, north) from one place on the sky to another, degrees: as far as they are apart, in the way it begins."""
    dec0, dec1, ra = math.radians(dec0_deg), math.radians(dec1_deg), math.radians(ra1_deg - ra0_deg)
    east = math.cos(dec1) * math.sin(ra)
    north = math.cos(dec0) * math.sin(dec1) - math.sin(dec0) * math.cos(dec1) * math.cos(ra)
    across = math.hypot(east, north)
    if across == 0:
        return 0.0, 0.0
    along = math.sin(dec0) * math.sin(dec1) + math.cos(dec0) * math.cos(dec1) * math.cos(ra)
    length = math.degrees(math.atan2(across, along))
    return length * east / across, length * north / across
