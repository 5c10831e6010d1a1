"""A mask that leaves a circle.

In: an `Image`. Out: the image with everything outside the circle masked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from acquisition.images import Image, ImageProcessor
from acquisition.images.processors.demands import header_number, masked


class CircularMask(ImageProcessor):
    """Mask all pixels further than the radius from a centre, besides those that are masked already.

    An image without data passes unchanged.

    Parameters
    ----------
    radius : float
        px; pixels at just this distance stay.
    center : tuple of 2 str
        Keywords of the centre: column and row, the first being 1.
    **kwargs
        As of `ImageProcessor`.

    Raises
    ------
    ValueError
        If the radius is negative, or there are not two keywords.
    """

    def __init__(self, radius: float, center: tuple[str, str] = ("CRPIX1", "CRPIX2"), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not radius >= 0:
            raise ValueError(f"radius is {radius} px; allowed: from 0")
        if len(center) != 2:
            raise ValueError(f"center is {center}; allowed: two keywords")
        self._radius = radius
        self._center = center

    async def __call__(self, image: Image) -> Image:
        """Mask an image.

        Raises
        ------
        ImageError
            If the header lacks the centre, or a mask that is there does not fit.
        """
        if image.safe_data is None or image.data.ndim < 2:
            return image
        x, y = (header_number(image, keyword) - 1 for keyword in self._center)
        height, width = image.data.shape[-2:]
        far = np.hypot(np.arange(width) - x, (np.arange(height) - y)[:, None]) > self._radius
        mask = masked(image)
        return image.derive(mask=far if mask is None else far | mask)
