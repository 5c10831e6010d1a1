"""How far a target is from the place in the frame where it is wanted: for fine acquisition.

In: an `Image`, with a WCS if the target is a position on the sky. Out: the image with `PixelOffsets`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from acquisition.errors import ImageError, NoStars
from acquisition.images import Image, ImageProcessor
from acquisition.images.meta import PixelOffsets
from acquisition.images.processors.plane import detector_of, plane_of
from acquisition.images.processors.skyplane import pixel_of, wcs_of
from acquisition.kernels import columns as c
from acquisition.kernels.background import measure_background
from acquisition.kernels.stars import find_stars

_USABLE = (None, "saturated")  # its place is good enough to be moved


class TargetOffsets(ImageProcessor):
    """Place of a target minus where it is wanted, px.

    Parameters
    ----------
    ra_deg, dec_deg : float, optional
        The target on the sky (ICRS); the frames need a WCS. Without, the brightest star is the target.
    x, y : float, optional
        Where it is wanted, 0-based px; the middle of the frame by default.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If only one of two coordinates is given, or one is not on the sky.
    """

    def __init__(
        self,
        ra_deg: float | None = None,
        dec_deg: float | None = None,
        x: float | None = None,
        y: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for pair, values in (("ra_deg and dec_deg", (ra_deg, dec_deg)), ("x and y", (x, y))):
            given = [value for value in values if value is not None]
            if len(given) == 1 or not all(math.isfinite(value) for value in given):
                raise ValueError(f"{pair} are {values[0]}, {values[1]}; allowed: two finite numbers, or none")
        if dec_deg is not None and abs(dec_deg) > 90:
            raise ValueError(f"dec_deg is {dec_deg}; allowed: -90 to 90")
        self._sky = None if ra_deg is None or dec_deg is None else (ra_deg, dec_deg)
        self._place = None if x is None or y is None else (x, y)

    async def __call__(self, image: Image) -> Image:
        """Measure a frame.

        Raises
        ------
        NoStars
            If the brightest star is the target, and there is none.
        ImageError
            If the frame is no picture, or has no WCS where it needs one.
        """
        data = image.safe_data
        if data is None or data.ndim < 2 or data.size == 0:
            raise ImageError("image has no pixels; need some")
        height, width = data.shape[-2:]
        x, y, x_err, y_err = self._star(image) if self._sky is None else (*self._on_the_sky(image), 0.0, 0.0)
        wanted_x, wanted_y = self._place or ((width - 1) / 2, (height - 1) / 2)
        image = image.derive()
        image.set_meta(PixelOffsets(x - wanted_x, y - wanted_y, x_err, y_err))
        return image

    def _on_the_sky(self, image: Image) -> tuple[float, float]:
        from astropy.coordinates import SkyCoord

        assert self._sky is not None
        return pixel_of(wcs_of(image), SkyCoord(*self._sky, unit="deg"))

    @staticmethod
    def _star(image: Image) -> tuple[float, float, float, float]:
        plane = plane_of(image)
        background = measure_background(plane.frame, plane.bad)
        y, x = (size / 2 for size in plane.frame.shape)
        detector = detector_of(plane, image.facts, background.level_at(x, y), background.noise_at(x, y))
        stars = find_stars(plane.frame, plane.bad, adu_per_e=detector.adu_per_e, saturation=detector.saturation)
        usable = [row for row, reason in zip(stars.table, stars.reasons, strict=True) if reason in _USABLE]
        if not usable:
            raise NoStars("no star in the frame that could be the target")
        best = usable[int(np.argmax([row[c.FLUX] for row in usable]))]
        step = plane.step
        return (
            plane.to_image(best[c.X]), plane.to_image(best[c.Y]),
            math.sqrt(best[c.VAR_X]) * step, math.sqrt(best[c.VAR_Y]) * step,
        )  # fmt: skip
