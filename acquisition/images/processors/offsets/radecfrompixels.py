"""Offsets on the sky, from offsets on the detector.

In: an `Image` with `PixelOffsets`. Out: the image with `RaDecOffsets`, `AltAzOffsets` (degrees) and `OnSkyDistance`.
"""

from __future__ import annotations

import math
from typing import Any

from acquisition.errors import ImageError
from acquisition.geometry import pixels_to_sky
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import OnSkyDistance, PixelOffsets, RaDecOffsets

from .horizon import alt_az_offsets


class RaDecFromPixels(ImageProcessor):
    """What must be added to the telescope's pointing to undo the `PixelOffsets`.

    Sets `RaDecOffsets`; where site, time and position are known (of the WCS, or else RA and DEC), `AltAzOffsets`; and
    `OnSkyDistance`, the length of the way. An image without `PixelOffsets` passes unchanged.

    Parameters
    ----------
    matrix : tuple of 4 floats, optional
        (d east/dx, d east/dy, d north/dx, d north/dy) in degrees per pixel, in the order and with the signs of
        CD1_1, CD1_2, CD2_1, CD2_2. By default the WCS of each image's facts.
    distance : bool
        Whether to set `OnSkyDistance`, an Angle of astropy, which takes half a second to import.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If the matrix is not finite or is singular.
    """

    def __init__(
        self, matrix: tuple[float, float, float, float] | None = None, distance: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if matrix is not None:
            determinant = matrix[0] * matrix[3] - matrix[1] * matrix[2]
            if not math.isfinite(determinant) or determinant == 0:
                raise ValueError(f"matrix is {matrix}; allowed: 4 finite numbers with a determinant other than 0")
        self._matrix = matrix
        self._distance = distance

    async def __call__(self, image: Image) -> Image:
        """Convert an image's offsets.

        Raises
        ------
        ImageError
            If the image has pixel offsets but no WCS, and no matrix was given.
        """
        offsets = image.get_meta_safe(PixelOffsets)
        if offsets is None:
            return image
        facts = image.facts
        matrix = self._matrix
        if matrix is None:
            if facts.wcs is None:
                raise ImageError("no offsets on the sky: the image has no WCS, and no matrix was given")
            matrix = facts.wcs.cd
        east, north = pixels_to_sky(offsets.dx, offsets.dy, matrix)
        image = image.derive()
        image.set_meta(RaDecOffsets(east, north))
        ra, dec = (facts.ra_deg, facts.dec_deg) if facts.wcs is None else (facts.wcs.ra_deg, facts.wcs.dec_deg)
        along_horizon = None if ra is None or dec is None else alt_az_offsets(facts, east, north, ra, dec)
        if along_horizon is not None:
            image.set_meta(along_horizon)
        if self._distance:
            from astropy.coordinates import Angle

            image.set_meta(OnSkyDistance(Angle(math.hypot(east, north), "deg")))
        return image
