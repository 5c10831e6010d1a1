"""Offset of the brightest star from where it was in the first frame.

In: `Image`s with catalogs. Out: from the second on, the images with `PixelOffsets` and, where site, time and WCS are
known, `AltAzOffsets` (degrees).
"""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import ImageError
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import AltAzOffsets, PixelOffsets
from acquisition.images.processors.skyplane import icrs_of

from .brightest import stars_of
from .horizon import alt_az_offsets, arc_between

log = logging.getLogger(__name__)

_SAME_FLUX = 2.0  # a star may brighten or fade by this factor from frame to frame


class BrightestStarGuiding(ImageProcessor):
    """Where the star is that was the brightest of the first frame, minus where it was then; until `reset`.

    In later frames it is the one of about its flux (within a factor of 2) that is nearest to where it was last, so that
    it does not change to another of nearly equal flux; if there is none, the brightest one. `AltAzOffsets` are what
    must be ADDED to the telescope's pointing to bring the star back. An image without a catalog, or without a star in
    it, passes unchanged, with a warning.

    Parameters
    ----------
    center_header_cards : tuple of 2 str
        Ignored, as by pyobs.
    **kwargs
        As of `ImageProcessor`.
    """

    def __init__(self, center_header_cards: tuple[str, str] = ("CRPIX1", "CRPIX2"), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reference: NDArray[np.float64] | None = None  # x, y, flux
        self._last: NDArray[np.float64] | None = None

    async def reset(self) -> None:
        """Take the brightest star of the next frame as the reference."""
        self._reference = self._last = None

    async def __call__(self, image: Image) -> Image:
        """Measure an image's offset.

        Raises
        ------
        ImageError
            If the catalog lacks columns x, y, flux.
        """
        stars = stars_of(image)
        if stars is None:
            log.warning("no offsets: the image has no catalog, or no star in it")
            return image
        if self._reference is None or self._last is None:
            self._reference = self._last = stars[0]
            return image
        self._last = star = _same(self._last, stars)
        x0, y0, _ = self._reference.tolist()
        x, y, _ = star.tolist()
        image = image.derive()
        image.set_meta(PixelOffsets(x - x0, y - y0))
        try:
            offsets = _alt_az(image, (x0 - 1, y0 - 1), (x - 1, y - 1))
        except ImageError as error:
            log.info("no offsets in altitude and azimuth: %s", error)
        else:
            image.set_meta(offsets)
        return image


def _same(last: NDArray[np.float64], stars: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.abs(np.log(stars[:, 2] / last[2])) <= math.log(_SAME_FLUX)
    candidates = stars[alike] if alike.any() else stars[:1]
    nearest: NDArray[np.float64] = candidates[np.hypot(candidates[:, 0] - last[0], candidates[:, 1] - last[1]).argmin()]
    return nearest


def _alt_az(image: Image, reference: tuple[float, float], now: tuple[float, float]) -> AltAzOffsets:
    """Sky position at the star's place now minus that at the reference place, in the middle of the exposure."""
    ra, dec = (places.tolist() for places in icrs_of(image, *np.transpose([reference, now])))
    east, north = arc_between(ra[0], dec[0], ra[1], dec[1])
    if not (math.isfinite(east) and math.isfinite(north)):
        raise ImageError("the star is not on the sky by the image's WCS")
    offsets = alt_az_offsets(image.facts, east, north, ra[0], dec[0])
    if offsets is None:
        raise ImageError("latitude, longitude and time are needed, and the image does not state them all")
    return offsets
