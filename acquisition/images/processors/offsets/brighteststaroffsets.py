"""Offset of the brightest star from where it should be.

In: an `Image` with a catalog. Out: the image with `PixelOffsets` and, with a WCS, `OnSkyDistance`.
"""

from __future__ import annotations

import logging
from typing import Any

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import OnSkyDistance, PixelOffsets
from acquisition.images.processors.demands import header_number
from acquisition.images.processors.skyplane import sky_of, wcs_of

from .brightest import stars_of

log = logging.getLogger(__name__)


class BrightestStarOffsets(ImageProcessor):
    """Brightest star of the catalog minus the place that the header names.

    An image without a catalog, or without a star in it, passes unchanged, with a warning. Without a WCS there is no
    `OnSkyDistance`.

    Parameters
    ----------
    center_header_cards : tuple of 2 str
        Keywords of the place: column and row, the first being 1.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If there are not two keywords.
    """

    def __init__(self, center_header_cards: tuple[str, str] = ("CRPIX1", "CRPIX2"), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if len(center_header_cards) != 2:
            raise ValueError(f"center is {center_header_cards}; allowed: two keywords")
        self._center = center_header_cards

    async def __call__(self, image: Image) -> Image:
        """Measure an image's offset.

        Raises
        ------
        ImageError
            If the header lacks the place, or the catalog columns x, y, flux.
        """
        stars = stars_of(image)
        if stars is None:
            log.warning("no offsets: the image has no catalog, or no star in it")
            return image
        x, y, _ = stars[0].tolist()
        cx, cy = (header_number(image, keyword) for keyword in self._center)
        image = image.derive()
        image.set_meta(PixelOffsets(x - cx, y - cy))
        try:
            wcs = wcs_of(image)
            distance = sky_of(wcs, cx - 1, cy - 1).separation(sky_of(wcs, x - 1, y - 1))
        except ImageError as error:
            log.info("no distance on the sky: %s", error)
        else:
            image.set_meta(OnSkyDistance(distance))
        return image
