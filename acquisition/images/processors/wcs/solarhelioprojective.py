"""Coordinates on the Sun, from its disk.

In: an `Image` with the disk's centre and radius in the header. Out: the image with a helioprojective WCS.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import header_number
from acquisition.images.processors.skyplane import header_without_wcs

SUN_RADIUS_KM = 695_700.0
"""IAU 2015 resolution B3 (Prsa et al. 2016, AJ 152, 41)."""
AU_KM = 149_597_870.7


class SolarHelioprojective(ImageProcessor):
    """Put a helioprojective cartesian WCS into the header (Thompson 2006, A&A 449, 791), north up.

    The scale is the Sun's angular radius at the middle of the exposure, seen from the Earth's centre (the site adds up
    to 0.004 %), over that of the disk, px. A WCS that was there goes.

    Parameters
    ----------
    keyword_x, keyword_y, keyword_radius : str
        Of the disk's centre, the first pixel being 1, and its radius, px: as of `SimpleDisk`.
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(
        self,
        keyword_x: str = "DISKPOS1",
        keyword_y: str = "DISKPOS2",
        keyword_radius: str = "DISKRAD",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keywords = keyword_x, keyword_y, keyword_radius

    async def __call__(self, image: Image) -> Image:
        """Describe an image.

        Raises
        ------
        ImageError
            If the header lacks the disk or the time, or the disk has no size.
        """
        x, y, radius = (header_number(image, keyword) for keyword in self._keywords)
        if not 0 < radius < 1e9:
            raise ImageError(f"{self._keywords[2]} is {radius:g} px; need a radius above 0")
        facts = image.facts
        utc = facts.mid_utc or facts.start_utc
        if utc is None:
            raise ImageError("header has no time (DATE-OBS); the Sun's size is not known")
        angle_deg, distance_m = sun_radius_deg(utc)
        header = header_without_wcs(image)
        header["CTYPE1"], header["CTYPE2"] = ("HPLN-TAN", "longitude, to the west"), ("HPLT-TAN", "latitude")
        header["CUNIT1"], header["CUNIT2"] = "deg", "deg"
        header["CRPIX1"] = (x, "[px] the Sun's middle, first column is 1")
        header["CRPIX2"] = (y, "[px] the Sun's middle, first row is 1")
        header["CRVAL1"], header["CRVAL2"] = 0.0, 0.0
        header["CDELT1"] = header["CDELT2"] = angle_deg / radius
        header["RSUN_REF"] = (SUN_RADIUS_KM * 1e3, "[m] radius of the Sun")
        header["DSUN_OBS"] = (distance_m, "[m] distance of the Sun")
        return image.derive(header=header)


def sun_radius_deg(utc: datetime) -> tuple[float, float]:
    """The Sun's angular radius, degrees, and its distance, m, from the Earth's centre; `utc` has its time zone."""
    import erfa

    days = (utc.timestamp() - 946728000.0) / 86400  # since J2000; what UTC lacks to TDB moves the Sun by 2 km
    heliocentric, _ = erfa.epv00(2451545.0, days)
    distance_km = math.sqrt(float((heliocentric["p"] ** 2).sum())) * AU_KM
    return math.degrees(math.asin(SUN_RADIUS_KM / distance_km)), distance_km * 1e3
