"""Offset of the telescope's pointing, by a solved WCS.

In: an `Image` with a WCS and where the telescope believed to point. Out: the image with `PixelOffsets` and
`OnSkyDistance`.
"""

from __future__ import annotations

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import OnSkyDistance, PixelOffsets
from acquisition.images.processors.demands import header_number
from acquisition.images.processors.skyplane import pixel_of, wcs_of


class AstrometryOffsets(ImageProcessor):
    """Pixel of the telescope's position (TEL-RA, TEL-DEC) minus that of the WCS' reference (CRVAL1, CRVAL2).

    Parameters
    ----------
    **kwargs
        As of `ImageProcessor`.
    """

    async def __call__(self, image: Image) -> Image:
        """Measure an image's offset.

        Raises
        ------
        ImageError
            If the header lacks a WCS or one of the positions.
        """
        from astropy.coordinates import SkyCoord

        facts = image.facts
        if facts.tel_ra_deg is None or facts.tel_dec_deg is None or abs(facts.tel_dec_deg) > 90:
            raise ImageError(f"telescope is at TEL-RA {facts.tel_ra_deg}, TEL-DEC {facts.tel_dec_deg}; need both")
        ra, dec = header_number(image, "CRVAL1"), header_number(image, "CRVAL2")
        if abs(dec) > 90:
            raise ImageError(f"CRVAL2 is {dec}; need a declination")
        wcs = wcs_of(image)
        telescope = SkyCoord(facts.tel_ra_deg, facts.tel_dec_deg, unit="deg")
        reference = SkyCoord(ra, dec, unit="deg")
        (x, y), (x0, y0) = pixel_of(wcs, telescope), pixel_of(wcs, reference)
        image = image.derive()
        image.set_meta(PixelOffsets(x - x0, y - y0))
        image.set_meta(OnSkyDistance(telescope.separation(reference)))
        return image
