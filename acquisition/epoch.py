"""Coordinates of date, which most mounts speak, and ICRS, which we speak.

In: right ascension and declination, degrees, and a time. Out: the same direction in the other frame. Precession and
frame bias are applied (IAU 2006, Capitaine et al. 2003); nutation and aberration, up to 30 arcsec together, are not.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


def of_date(ra_deg: float, dec_deg: float, utc: datetime) -> tuple[float, float]:
    """Mean equator and equinox of date from ICRS."""
    return _turned(_precession(_hours(utc)), ra_deg, dec_deg)


def icrs(ra_deg: float, dec_deg: float, utc: datetime) -> tuple[float, float]:
    """ICRS from mean equator and equinox of date."""
    return _turned(_precession(_hours(utc)).T, ra_deg, dec_deg)


def _hours(utc: datetime) -> int:
    """Since J2000, rounded: in half an hour precession is 3 mas."""
    return round((utc - _J2000).total_seconds() / 3600)


@lru_cache(maxsize=16)  # every frame asks twice or more
def _precession(hours: int) -> NDArray[np.float64]:
    import erfa

    return np.asarray(erfa.pmat06(2451545.0, hours / 24), dtype=np.float64)


def _turned(matrix: NDArray[np.float64], ra_deg: float, dec_deg: float) -> tuple[float, float]:
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    x, y, z = matrix @ np.array([math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)])
    return math.degrees(math.atan2(y, x)) % 360, math.degrees(math.atan2(z, math.hypot(x, y)))
