"""Slow errors of pointing, smooth functions of the hour angle: polar misalignment, flexure, refraction.

In: a `Setup`, an hour angle and a declination. Out: by how much the telescope looks beside the place that its axes
are set to, and how far the camera is turned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from .process import Floats
from .setup import AirSpec, Setup, Site

SIDEREAL_DEG_PER_DAY = 360.98564736629
STEEPEST_DEC = math.radians(89.0)
"""Beyond, right ascension means little; errors are taken as here."""


@dataclass(frozen=True, slots=True)
class SlowError:
    """Where the telescope looks minus where its axes are set: arcsec on the axes (RA: of hour angle), and radians.

    `rotation_rad` is how far the camera is turned, from north towards east.
    """

    ra_arcsec: float
    dec_arcsec: float
    rotation_rad: float

    def __sub__(self, other: SlowError) -> SlowError:
        return SlowError(
            self.ra_arcsec - other.ra_arcsec,
            self.dec_arcsec - other.dec_arcsec,
            self.rotation_rad - other.rotation_rad,
        )


def slow_error(setup: Setup, hour_angle_deg: float, dec_deg: float) -> SlowError:
    """All slow errors together; only their change since the last slew matters to a guider.

    Polar misalignment to first order in its angles (a east of the pole, e above it; H hour angle, φ latitude):
    ``Δδ = a cos φ sin H - e cos H``, ``ΔRA = tan δ (a cos φ cos H + e sin H)``, rotation ``ΔRA / sin δ``.
    """
    mount = setup.mount
    h = math.radians(hour_angle_deg)
    dec = min(max(math.radians(dec_deg), -STEEPEST_DEC), STEEPEST_DEC)
    east = mount.polar_azimuth_arcmin * 60 * math.cos(math.radians(setup.site.lat_deg))
    up = mount.polar_altitude_arcmin * 60
    along, across = east * math.sin(h) - up * math.cos(h), up * math.sin(h) + east * math.cos(h)
    ra = across * math.tan(dec) + mount.flexure_arcsec[0] * math.sin(h)
    north = along + mount.flexure_arcsec[1] * math.sin(h)
    turned = across / math.cos(dec) / (180 * 3600 / math.pi)
    if setup.air.refraction:
        refracted_ra, refracted_dec = _refraction(setup, h, dec)
        ra, north = ra + refracted_ra, north + refracted_dec
    return SlowError(ra, north, turned)


@dataclass(frozen=True, slots=True)
class AltAzAxes:
    """How an alt-azimuth mount's axes lie on the sky at some instants.

    Attributes
    ----------
    up_rad : array
        Position angle of the zenith, from north towards east: the parallactic angle.
    cos_alt, cos_dec : arrays
    """

    up_rad: Floats
    cos_alt: Floats
    cos_dec: Floats

    def to_sky(self, level: Floats, up: Floats) -> tuple[Floats, Floats]:
        """RA (of hour angle) and Dec, from turns about the vertical and in altitude."""
        c, s = np.cos(self.up_rad), np.sin(self.up_rad)
        level = level * self.cos_alt
        return (level * c + up * s) / self.cos_dec, up * c - level * s


def alt_az_axes(lat_deg: float, hour_angle_deg: Floats, dec_deg: float) -> AltAzAxes:
    """The axes at ascending hour angles, by a straight line from the first to the last."""
    lat, dec = math.radians(lat_deg), min(max(math.radians(dec_deg), -STEEPEST_DEC), STEEPEST_DEC)
    first, last = (math.radians(float(hour_angle_deg[i])) for i in (0, -1))
    share = (hour_angle_deg - hour_angle_deg[0]) / max(float(hour_angle_deg[-1] - hour_angle_deg[0]), 1e-12)
    up = parallactic_rad(lat, first, dec)
    turn = math.remainder(parallactic_rad(lat, last, dec) - up, 2 * math.pi)
    h = first + (last - first) * share
    sin_alt = math.sin(lat) * math.sin(dec) + math.cos(lat) * math.cos(dec) * np.cos(h)
    return AltAzAxes(up + turn * share, np.sqrt(np.maximum(1 - sin_alt**2, 0.0)), np.full(len(h), math.cos(dec)))


def parallactic_rad(lat: float, hour_angle: float, dec: float) -> float:
    """Position angle of the zenith, from north towards east (it is east of a star in the west); all in radians."""
    return math.atan2(
        math.cos(lat) * math.sin(hour_angle),
        math.sin(lat) * math.cos(dec) - math.cos(lat) * math.sin(dec) * math.cos(hour_angle),
    )


def refraction_arcsec(zenith_distance_rad: float, elev_m: float) -> float:
    """How much a star is lifted, 58.3" tan z - 0.067" tan³ z for the pressure at sea level; up to z = 80°."""
    t = math.tan(min(zenith_distance_rad, math.radians(80.0)))
    return (58.3 * t - 0.067 * t**3) * math.exp(-elev_m / 8400)


def _refraction(setup: Setup, h: float, dec: float) -> tuple[float, float]:
    """Refraction lifts the stars, so the telescope sees what is truly lower: away from the zenith."""
    lat = math.radians(setup.site.lat_deg)
    sin_alt = math.sin(lat) * math.sin(dec) + math.cos(lat) * math.cos(dec) * math.cos(h)
    lifted = refraction_arcsec(math.acos(min(max(sin_alt, -1.0), 1.0)), setup.site.elev_m)
    to_zenith = parallactic_rad(lat, h, dec)
    return -lifted * math.sin(to_zenith) / math.cos(dec), -lifted * math.cos(to_zenith)


@lru_cache(maxsize=16)
def sidereal_time_deg(utc: datetime, lon_deg: float) -> float:
    """Local mean sidereal time (Meeus, Astronomical Algorithms, 12.4, to first order), degrees."""
    days = (utc - datetime(2000, 1, 1, 12, tzinfo=UTC)).total_seconds() / 86400
    return (280.46061837 + SIDEREAL_DEG_PER_DAY * days + lon_deg) % 360.0


def hour_angle_deg(utc: datetime, lon_deg: float, ra_deg: float, later_s: float = 0.0) -> float:
    """Hour angle, so many seconds after an instant, within ±180 degrees, positive west of the meridian."""
    turned = later_s * (SIDEREAL_DEG_PER_DAY / 86400)
    return math.remainder(sidereal_time_deg(utc, lon_deg) + turned - ra_deg, 360.0)


def airmass(hour_angle_deg: float, dec_deg: float, lat_deg: float) -> float | None:
    """Airmass (Kasten & Young 1989); None below the horizon."""
    h, dec, lat = map(math.radians, (hour_angle_deg, dec_deg, lat_deg))
    sin_alt = math.sin(lat) * math.sin(dec) + math.cos(lat) * math.cos(dec) * math.cos(h)
    if sin_alt <= 0:
        return None
    return float(1 / (sin_alt + 0.50572 * (math.degrees(math.asin(sin_alt)) + 6.07995) ** -1.6364))


def airmass_of(site: Site, air: AirSpec, hour_angle_deg: float, dec_deg: float) -> float:
    """The airmass that the air's effects go with: 1 unless they follow it; at and below the horizon 38."""
    if not air.follows_airmass:
        return 1.0
    return airmass(hour_angle_deg, dec_deg, site.lat_deg) or 38.0
